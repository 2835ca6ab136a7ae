// How kernels sum over keys and items, in float32.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace dyad::kernels::reference {

// Through 16 lanes, number i in lane i mod 16, folded by 8, 4, 2, 1.
inline float LaneSum(std::span<const float> values) {
  std::array<float, 16> lanes = {};
  for (size_t i = 0; i < values.size(); ++i) lanes[i % 16] += values[i];
  for (size_t half = 8; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

}  // namespace dyad::kernels::reference
