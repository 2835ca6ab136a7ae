// Refuses what a model could never run, before it is queued.
#pragma once

#include "absl/status/status.h"
#include "server/engine/model.h"
#include "server/engine/request.h"

namespace dyad::engine {

// Errors: InvalidArgument, naming field, value and limit: `ids` empty, too long or out of range;
// `max_new_tokens`, `top_n`, `score_from`, ids of `logit_bias` out of range; `sets`
// that do not fit the scored ids; more KV pages needed than the model has. Cost: O(ids).
absl::Status CheckRequest(const Request& request, const ModelLimits& limits);

}  // namespace dyad::engine
