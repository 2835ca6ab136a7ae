// Errors under /v2.
#pragma once

#include "absl/status/status.h"
#include "server/http/message.h"

namespace dyad {

// {"error": "text"}, as an answer.
HttpResponse KserveError(const absl::Status& status);

}  // namespace dyad
