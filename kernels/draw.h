// A draw (DrawRow of kernels/step.h): one id from a row of logits, defined by the numbers alone.
//
// 1. Adjusted logits: those of few ids are changed (Adjustment). One that is not a number counts as
//    minus infinity, plus infinity as the largest float.
// 2. Temperature 0 or top_k 1: the id of the largest, the lowest of equals. This is greedy.
// 3. Weights, whole numbers: floor(Exp((adjusted - largest) · (1 / temperature)) · 2^39), in
//    float32. If all are minus infinity, id 0 is drawn.
// 4. Order: the larger weight first, of equal weights the lower id. Weights never fall as logits
//    rise. Ids of weight 0 are never drawn.
// 5. top_k keeps the first k; then top_p the fewest of those whose weights reach top_p of their
//    sum; then min_p those whose weight is at least min_p of the largest.
// 6. Of the ids kept, in ascending order: the first at which the running sum of weights exceeds
//    floor(uniform · sum / 2^64).
//
// Sums of whole numbers are exact in any order, so that every device and every way to compute this
// draws the same id.
//
// Error of a weight, relative, with s the scaled logit: |s| · 3 · 2^-24 for scaling, 2^-22 for Exp,
// and one unit of 2^-39 of the largest weight. So ids less likely than e^-27 of the likeliest are
// never drawn; all of a vocabulary of 50,000 together have 10^-7 of it at most.
#pragma once

#include <cstdint>
#include <limits>

#include "kernels/exact_math.h"
#include "kernels/step.h"

namespace dyad::kernels {

// The largest weight. Sums over 2^24 ids, the most that a vocabulary may have, stay below 2^64.
inline constexpr float kLargestWeight = 0x1p39f;

DYAD_HOST_DEVICE bool IsGreedy(const DrawRow& draw) {
  return draw.temperature <= 0.0f || draw.top_k == 1;
}

DYAD_HOST_DEVICE float Adjusted(float logit, const Adjustment& by) {
  return (logit > 0.0f ? logit / by.penalty : logit * by.penalty) - by.subtract + by.add;
}

// An adjusted logit without what would poison differences.
DYAD_HOST_DEVICE float Tamed(float logit) {
  constexpr float kMost = std::numeric_limits<float>::max();
  return logit != logit ? -std::numeric_limits<float>::infinity() : logit < kMost ? logit : kMost;
}

// What differences of logits are multiplied with; finite, as 0 times infinity would be no number.
DYAD_HOST_DEVICE float InverseOf(float temperature) {
  constexpr float kMost = std::numeric_limits<float>::max();
  const float inverse = 1.0f / temperature;
  return inverse < kMost ? inverse : kMost;
}

// A weight as float32, which holds whole numbers of 24 bits exactly, and these have no more.
// `logit`, `largest`: tamed; largest above minus infinity.
DYAD_HOST_DEVICE float WeightOf(float logit, float largest, float inverse_temperature) {
  const float weight = exact::Exp((logit - largest) * inverse_temperature) * kLargestWeight;
  return static_cast<float>(static_cast<uint64_t>(weight));
}

// floor(a · b / 2^64).
DYAD_HOST_DEVICE uint64_t MultiplyHigh(uint64_t a, uint64_t b) {
  constexpr uint64_t kLow = 0xffffffff;
  const uint64_t cross = (a >> 32) * (b & kLow) + ((a & kLow) * (b & kLow) >> 32);
  const uint64_t middle = (a & kLow) * (b >> 32) + (cross & kLow);
  return (a >> 32) * (b >> 32) + (cross >> 32) + (middle >> 32);
}

// The sum of weights that top_p in [0, 1) asks for, of `sum` in all, rounded up.
DYAD_HOST_DEVICE uint64_t WantedWeight(float top_p, uint64_t sum) {
  const auto part = static_cast<uint64_t>(top_p * 0x1p64f);
  return MultiplyHigh(part, sum) + (part * sum != 0 ? 1 : 0);
}

// The least weight that min_p keeps; those of weight 0 never stay.
DYAD_HOST_DEVICE float LeastWeight(float min_p) {
  const float least = (min_p < 1.0f ? min_p : 1.0f) * kLargestWeight;
  return least > 1.0f ? least : 1.0f;
}

}  // namespace dyad::kernels
