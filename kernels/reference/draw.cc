// kernels/reference/draw.h.
#include "kernels/reference/draw.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace dyad::kernels::reference {

std::vector<float> AdjustedLogits(std::span<const float> logits,
                                  std::span<const Adjustment> adjustments) {
  std::vector<float> adjusted(logits.begin(), logits.end());
  for (const Adjustment& by : adjustments) {
    float& logit = adjusted[static_cast<size_t>(by.id)];
    logit = Adjusted(logit, by);
  }
  for (float& logit : adjusted) logit = Tamed(logit);
  return adjusted;
}

std::vector<uint64_t> DrawWeights(std::span<const float> adjusted, const DrawRow& draw) {
  const auto best = std::max_element(adjusted.begin(), adjusted.end());  // the first of equals
  std::vector<uint64_t> kept(adjusted.size());
  if (IsGreedy(draw) || std::isinf(*best)) {
    kept[static_cast<size_t>(best - adjusted.begin())] = 1;
    return kept;
  }
  std::vector<uint64_t> weights;
  for (const float logit : adjusted) {
    weights.push_back(static_cast<uint64_t>(WeightOf(logit, *best, InverseOf(draw.temperature))));
  }
  std::vector<size_t> order(adjusted.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return weights[a] > weights[b]; });
  std::erase_if(order, [&](size_t id) { return weights[id] == 0; });
  if (draw.top_k > 0) order.resize(std::min(order.size(), static_cast<size_t>(draw.top_k)));
  if (draw.top_p < 1) {
    uint64_t all = 0;
    for (const size_t id : order) all += weights[id];
    const uint64_t wanted = WantedWeight(draw.top_p, all);
    uint64_t sum = 0;
    size_t needed = 0;
    while (needed == 0 || sum < wanted) sum += weights[order[needed++]];
    order.resize(needed);
  }
  for (const size_t id : order) {
    if (static_cast<float>(weights[id]) >= LeastWeight(draw.min_p)) kept[id] = weights[id];
  }
  return kept;
}

int32_t Draw(std::span<const float> logits, const DrawRow& draw,
             std::span<const Adjustment> adjustments) {
  const std::vector<uint64_t> weights = DrawWeights(AdjustedLogits(logits, adjustments), draw);
  uint64_t sum = 0;
  for (const uint64_t weight : weights) sum += weight;
  const uint64_t passed = MultiplyHigh(draw.uniform, sum);
  uint64_t running = 0;
  int32_t id = 0;
  for (; running + weights[static_cast<size_t>(id)] <= passed; ++id) {
    running += weights[static_cast<size_t>(id)];
  }
  return id;
}

}  // namespace dyad::kernels::reference
