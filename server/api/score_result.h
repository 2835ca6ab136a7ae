// The engine's scores -> what a client reads.
#pragma once

#include <cstdint>
#include <span>

#include "dyad/v1/scoring.pb.h"
#include "server/api/convention.h"
#include "server/engine/model.h"

namespace dyad {

struct ScoreTotal {
  double sum = 0;   // in order, in double
  double mean = 0;  // 0 if nothing was scored
};
ScoreTotal Total(std::span<const engine::TokenScore> scores);

// `scores` belong to input.ids from scored_from on; with input.sets there is one more.
v1::TextScore ToTextScore(const ServedModel& model, const ScoreInput& input,
                          std::span<const engine::TokenScore> scores);

// A sentence of a pair and what the engine said of it.
struct ScoredText {
  const ScoreInput& input;
  std::span<const engine::TokenScore> scores;
};

// Everything of a PairScore but index, good and bad.
v1::PairScore ToPairScore(const ConventionRow& row, const ScoredText& good, const ScoredText& bad);

// A bad pair's result; the message is bounded.
v1::PairScore ToPairError(int64_t index, const absl::Status& status);

}  // namespace dyad
