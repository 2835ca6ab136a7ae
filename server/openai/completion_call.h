// POST /v1/completions: one call, answered whole or as a stream of events.
#pragma once

#include <memory>

#include "server/openai/completion_request.h"
#include "server/routes/http_call.h"

namespace dyad {

// Answers the call some time: with an error of its request at once. On the exchange's thread; the
// state of the server outlives the answer.
void StartCompletion(const std::shared_ptr<HttpCall>& call, CompletionRequest request);

}  // namespace dyad
