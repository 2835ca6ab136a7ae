// The engine's scores -> what a client reads.
#pragma once

#include <cstdint>
#include <span>
#include <variant>

#include "dyad/v1/scoring.pb.h"
#include "server/api/convention.h"
#include "server/api/parse_score.h"
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

// A text that is compared and what the engine said of it.
struct ScoredText {
  const ScoreInput& input;
  std::span<const engine::TokenScore> scores;
};

// Everything of a PairScore but index, good and bad.
v1::PairScore ToPairScore(const ConventionRow& row, const ScoredText& good, const ScoredText& bad);

// Everything of a ChoiceScore but index and options. REQUIRES: at least one text.
v1::ChoiceScore ToChoiceScore(const ConventionRow& row, std::span<const ScoredText> texts);

// The result of a pair or choice.
using ComparisonResult = std::variant<v1::PairScore, v1::ChoiceScore>;

// That of a bad one; the message is bounded.
ComparisonResult ToComparisonError(const ComparisonPlan& plan, const absl::Status& status);

}  // namespace dyad
