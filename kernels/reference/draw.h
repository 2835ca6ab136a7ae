// The definition of a draw, by sorting and plain loops: kernels/draw.h. Never tuned.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/draw.h"

namespace dyad::kernels::reference {

// The logits as `adjustments` change them, tamed.
std::vector<float> AdjustedLogits(std::span<const float> logits,
                                  std::span<const Adjustment> adjustments);

// The weight of each id; 0 for those that the filters of `draw` leave out. The probability of an id
// is its weight over the sum. Greedy: one weight above 0.
std::vector<uint64_t> DrawWeights(std::span<const float> adjusted, const DrawRow& draw);

// The id drawn. `adjustments`: of this draw.
int32_t Draw(std::span<const float> logits, const DrawRow& draw,
             std::span<const Adjustment> adjustments);

}  // namespace dyad::kernels::reference
