// Errors in OpenAI's words.
#pragma once

#include "absl/status/status.h"
#include "server/http/message.h"

namespace dyad {

// {"error": {"message", "type", "param", "code"}}, as an answer.
HttpResponse OpenAiError(const absl::Status& status);

// The same, of bytes that are no request.
HttpResponse OpenAiFault(const HttpFault& fault);

}  // namespace dyad
