// Errors that a client can act on: absl::Status whose payloads are google.rpc details.
// error_reply.h makes of them what a client is told.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace dyad {

// A field of a request that is not as it must be.
struct FieldFault {
  std::string field;                     // path in the message: "items[3].text"
  std::string value;                     // as given, or its size; shortened if long
  std::string limit;                     // what is allowed: "must be in [0, 100]"
  std::string reason = "INVALID_FIELD";  // of the ErrorInfo
};

// Reason of what is longer than the model's context.
inline constexpr char kContextLengthExceeded[] = "CONTEXT_LENGTH_EXCEEDED";

// InvalidArgument "<field> is <value>; <limit>", with BadRequest and ErrorInfo (metadata field,
// value, limit).
absl::Status InvalidField(const FieldFault& fault);

// What is wrong with the fields of one request, said together. The first 8 are named, as clients
// bound what comes beside an answer; of the others, how many there are.
class FieldFaults {
 public:
  // Keeps an error of InvalidField, or of status(), and is OK then. Any other status comes back.
  absl::Status Add(const absl::Status& status);

  // InvalidArgument with a BadRequest of all, and the first one's ErrorInfo; OK if there are none.
  absl::Status status() const;

 private:
  std::vector<absl::Status> faults_;
  size_t left_out_ = 0;
};

// Something that has more bytes than the server allows.
struct SizeFault {
  std::string reason;  // of the ErrorInfo: "ANSWER_TOO_LARGE"
  std::string what;    // "the answer"
  int64_t bytes = 0;
  int64_t limit = 0;
  std::string flag;  // that sets the limit
};

// ResourceExhausted, with ErrorInfo (metadata size and limit, in bytes). Asking again is no use.
absl::Status TooLarge(const SizeFault& fault);

// The same status with an ErrorInfo: `reason` in UPPER_SNAKE_CASE, unless it has one already.
absl::Status WithReason(absl::Status status, std::string_view reason);

// The same status with a RetryInfo.
absl::Status WithRetryAfter(absl::Status status, absl::Duration delay);

// The same error with each wrong field named as `rename` says, in message and details: a front door
// has names of its own. Other statuses come back as they are.
absl::Status WithFieldNames(const absl::Status& status,
                            const std::function<std::string(std::string_view)>& rename);

// Fields that an error names, the first one first; none if it is not about fields.
std::vector<std::string> FieldsOf(const absl::Status& status);

// Reason of its ErrorInfo; empty if it has none.
std::string ReasonOf(const absl::Status& status);

// What WithRetryAfter was given.
std::optional<absl::Duration> RetryAfter(const absl::Status& status);

// `text` as valid UTF-8 of at most `max_bytes`, "…" at its end if something was cut.
std::string Shortened(std::string_view text, size_t max_bytes);

}  // namespace dyad
