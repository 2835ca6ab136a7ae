// The one table from an error to what HTTP's clients are told of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/http/message.h"

namespace dyad {

struct HttpError {
  int status = 500;
  std::string word;  // "invalid_value"
  std::string message;
  std::string param = {};  // the wrong field, as the request names it; empty: none
  std::optional<absl::Duration> retry_after = {};
};

// Fields keep the names that the status has: WithFieldNames before this.
HttpError ToHttpError(const absl::Status& status);

// An answer of JSON with the fields that go with the error: Retry-After, WWW-Authenticate,
// x-should-retry.
HttpResponse ErrorResponse(const HttpError& error, std::string json);

}  // namespace dyad
