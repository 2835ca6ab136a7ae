// LayerNorm of rows.
//
// Bits: both sums of a row, of values and of squared distances from the mean, run through 16 lanes
// and are folded 8, 4, 2, 1; everything else is one operation for each element.
// Error: of the order of √features · 2^-24 relative to the largest term.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/cpu/linear.h"
#include "kernels/cpu/thread_pool.h"

namespace dyad::kernels {

struct NormWeights {
  // One for each feature, or both empty for none.
  std::span<const float> weight, bias;
  float epsilon = 1e-5f;
};

// y[t] = (x[t] − mean) / √(variance + ε) · weight + bias. Shapes: x, y [rows, features]; y may be
// x.
void NormalizeRows(const NormWeights& weights, int64_t rows, int64_t features, ConstRows x, Rows y,
                   ThreadPool& pool);

}  // namespace dyad::kernels
