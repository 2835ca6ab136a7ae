// Where answers go, counted from what is asked.
#include "kernels/answers.h"

#include <algorithm>

#include "kernels/draw.h"

namespace dyad::kernels {

int64_t TopEntries(const StepInput& input, int64_t vocabulary) {
  int64_t entries = 0;
  for (const ScoreRow& score : input.scores) entries += std::min<int64_t>(score.top_n, vocabulary);
  for (const DrawRow& draw : input.draws) entries += std::min<int64_t>(draw.top_n, vocabulary);
  return entries;
}

void PlaceTops(const StepInput& input, int64_t vocabulary, std::span<ScoreResult> scores,
               std::span<DrawResult> draws) {
  int64_t next = 0;
  const auto place = [&](const auto& rows, auto results) {
    for (size_t i = 0; i < rows.size(); ++i) {
      results[i].first_top = static_cast<int32_t>(next);
      next += std::min<int64_t>(rows[i].top_n, vocabulary);
    }
  };
  place(input.scores, scores);
  place(input.draws, draws);
}

int64_t SampledRows(std::span<const DrawRow> draws) {
  return std::ranges::count_if(draws, [](const DrawRow& draw) { return !IsGreedy(draw); });
}

}  // namespace dyad::kernels
