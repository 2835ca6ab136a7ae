// What is known of a call when it has ended, and who wants to know it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "server/engine/request.h"

namespace dyad {

struct RpcRecord {
  std::string request_id;
  // "GenerationService/Generate", "unknown"; lives as long as the program.
  std::string_view method;
  std::string peer;  // "ipv4:127.0.0.1:40122"
  // Name of the served model; empty if none was found.
  std::string model;
  // "OK", "INVALID_ARGUMENT" …; lives as long as the program.
  std::string_view code;
  // Of an answer over HTTP; 0: there is none.
  int32_t http_status = 0;
  // Of the error; bounded, valid UTF-8; empty for OK.
  std::string message;
  int64_t prompt_tokens = 0;     // fed, prefix and context included
  int64_t generated_tokens = 0;  // of all choices
  int64_t scored_tokens = 0;
  // Of prompt_tokens, found in the prefix cache or the step.
  int64_t cached_tokens = 0;
  engine::Timing timing;  // of the sequence that took longest
  absl::Duration total;   // from the call's arrival to its status
  // Of the first choice: "length", "eos", "stop"; empty for scores.
  std::string_view finish_reason;
  // First text of the request, at most 1024 bytes; only if WantsPrompts().
  std::string prompt;
};

// Sees every call end, for logs and metrics. Called on the front doors' threads, possibly several
// at once; must not wait. What a door's transport refuses before it is a call is not seen.
class RpcObserver {
 public:
  virtual ~RpcObserver() = default;
  virtual bool WantsPrompts() const { return false; }
  virtual void OnRpcEnd(const RpcRecord& record) = 0;
};

// The one that took longer in all.
inline const engine::Timing& Slower(const engine::Timing& a, const engine::Timing& b) {
  return a.queue + a.prefill + a.decode < b.queue + b.prefill + b.decode ? b : a;
}

}  // namespace dyad
