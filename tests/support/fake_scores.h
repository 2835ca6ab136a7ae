// What is said of a row of logits, by the definitions: for FakeModel and for tests that compare
// with it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "server/engine/model.h"

namespace dyad::testing {

inline float LogSumExpOf(std::span<const float> logits) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) sum += std::exp(logit - most);
  return static_cast<float>(most + std::log(sum));
}

inline double SetLogprobOf(std::span<const float> logits, std::span<const uint8_t> id_sets,
                           uint8_t set) {
  double sum = 0;
  for (size_t id = 0; id < logits.size(); ++id) {
    if ((id_sets[id] & set) != 0) sum += std::exp(double{logits[id]});
  }
  return std::log(sum) - double{LogSumExpOf(logits)};
}

inline engine::TokenScore ScoreOf(std::span<const float> logits, int32_t target, int32_t top_n) {
  const float log_sum_exp = LogSumExpOf(logits);
  engine::TokenScore score{logits[target] - log_sum_exp, 1, {}};
  for (int32_t id = 0; id < static_cast<int32_t>(logits.size()); ++id) {
    if (logits[id] > logits[target] || (logits[id] == logits[target] && id < target)) ++score.rank;
  }
  if (top_n == 0) return score;
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  order.resize(std::min<size_t>(top_n, order.size()));
  for (int32_t id : order) score.top.push_back({id, logits[id] - log_sum_exp});
  return score;
}

}  // namespace dyad::testing
