// The routes of OpenAI's and vLLM's clients, and health. Contract and reasons:
// server/openai/README.md.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "server/api/server_state.h"
#include "server/routes/route.h"

namespace dyad {

// At most `max_prompts` prompts times choices of one request. `serves` tells of "readiness" and
// "liveness" whether it is so. `state` outlives the routes.
RouteFamily OpenAiRoutes(const ServerState& state, int64_t max_prompts,
                         std::function<bool(std::string_view)> serves);

}  // namespace dyad
