// The cap on the root mean square of a core, which einsum-search's normalised layers have: a
// constant once a model is trained, so it is folded into the weights.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/structures/leaves.h"

namespace dyad::kernels {

// gamma · P / max(1, rms / cap), rms = √(mean of P² + epsilon), cap = √min(in, out) / in; in
// double, rounded once. Without a cap gamma · P. gamma: a leaf of one element, null: 1.
struct RmsCap {
  int64_t in = 1;
  int64_t out = 1;
  double epsilon = 1e-8;
};
std::vector<float> Capped(const Leaf& core, const std::optional<RmsCap>& cap, const Leaf* gamma);

}  // namespace dyad::kernels
