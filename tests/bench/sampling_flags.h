// The flags that say how tokens are drawn: those of `model`, `engine` and `server`.
#pragma once

#include "absl/status/statusor.h"
#include "server/engine/request.h"

namespace dyad::bench {

// Greedy without flags. Errors: InvalidArgument: a flag out of its range.
absl::StatusOr<engine::Sampling> SamplingFromFlags();

}  // namespace dyad::bench
