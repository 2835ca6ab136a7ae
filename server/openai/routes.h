// The routes of OpenAI's and vLLM's clients, and health. Contract and reasons:
// server/openai/README.md.
#pragma once

#include <cstdint>

#include "server/api/server_state.h"
#include "server/routes/route.h"

namespace dyad {

// At most `max_prompts` prompts times choices of one request. `state` outlives the routes.
RouteFamily OpenAiRoutes(const ServerState& state, int64_t max_prompts);

}  // namespace dyad
