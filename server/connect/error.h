// Errors as Connect's clients read them.
#pragma once

#include "absl/status/status.h"
#include "server/http/message.h"

namespace dyad {

// {"code", "message", "details": [{"type", "value", "debug"}]}, as an answer. A detail is a message
// of google.rpc: value has its bytes in base64, debug the same as JSON.
HttpResponse ConnectError(const absl::Status& status);

}  // namespace dyad
