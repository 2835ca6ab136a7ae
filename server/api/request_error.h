// Errors that a client can act on: absl::Status whose payloads are google.rpc details.
// error_reply.h makes of them what a client is told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace dyad {

// A field of a request that is not as it must be.
struct FieldFault {
  std::string field;  // path in the message: "items[3].text"
  std::string value;  // as given, or its size; shortened if long
  std::string limit;  // what is allowed: "must be in [0, 100]"
};

// InvalidArgument "<field> is <value>; <limit>", with BadRequest and ErrorInfo (reason
// INVALID_FIELD, metadata field, value, limit).
absl::Status InvalidField(const FieldFault& fault);

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

// What WithRetryAfter was given.
std::optional<absl::Duration> RetryAfter(const absl::Status& status);

// `text` as valid UTF-8 of at most `max_bytes`, "…" at its end if something was cut.
std::string Shortened(std::string_view text, size_t max_bytes);

}  // namespace dyad
