// The definition of LayerNorm: kernels/device.h in double, as plain loops. Never tuned.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace dyad::kernels::reference {

struct NormResult {
  std::vector<double> y;          // [features]
  std::vector<double> magnitude;  // |(x − mean) / √(variance + ε) · weight| + |bias|
};

// One row. `weight` and `bias`: [features], or both empty for none.
NormResult Normalize(std::span<const float> x, std::span<const float> weight,
                     std::span<const float> bias, double epsilon);

}  // namespace dyad::kernels::reference
