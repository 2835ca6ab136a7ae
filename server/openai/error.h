// The one table from an error to what HTTP's clients are told of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/http/message.h"

namespace dyad {

struct OpenAiError {
  int status = 500;
  std::string code;  // "invalid_value"
  std::string message;
  std::string param = {};  // the wrong field, as the request names it; empty: none
  std::optional<absl::Duration> retry_after = {};
};

// Fields keep the names that the status has: WithFieldNames before this.
OpenAiError ToOpenAiError(const absl::Status& status);

// {"error": {"message", "type", "param", "code"}}: the body of an answer, or an event of a stream.
std::string ErrorJson(const OpenAiError& error);

// With the fields that go with it: Retry-After, WWW-Authenticate, x-should-retry.
HttpResponse ErrorResponse(const OpenAiError& error);

}  // namespace dyad
