// ScoreRequest -> what the engine is asked, or what is wrong with it.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dyad/v1/scoring.pb.h"
#include "server/engine/request.h"
#include "server/service/convention.h"
#include "server/service/served_model.h"

namespace dyad {

struct ScorePlan {
  const ServedModel* model = nullptr;
  const ConventionRow* row = nullptr;
  int32_t top_n = 0;
  std::vector<ScoreInput> inputs;  // one per item
};

// Checks every field against what scoring.proto says of it, and encodes the texts.
// Cost: that of encoding. Errors: NotFound (model), InvalidField, FailedPrecondition
// (convention.h).
absl::StatusOr<ScorePlan> ParseScore(const v1::ScoreRequest& proto, const ModelRegistry& models,
                                     const RequestLimits& limits);

// What the engine is asked for one input.
engine::Request ToEngineRequest(const ScoreInput& input, int32_t top_n, absl::Time deadline);

}  // namespace dyad
