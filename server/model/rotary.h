// Cosines and sines of rotary position embedding, per position and pair of dimensions.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/attention.h"

namespace dyad {

class RotaryAngles {
 public:
  RotaryAngles() = default;
  // angle(p, i) = p · base^(−2 i / rotary_size), i < rotary_size / 2, as the reference computes it:
  // frequency and angle in float32. Memory: positions · rotary_size floats.
  RotaryAngles(int64_t positions, int64_t rotary_size, double base);

  kernels::RotaryTable table() const { return {cos_, sin_}; }

 private:
  std::vector<float> cos_, sin_;  // [positions, rotary_size / 2]
};

}  // namespace dyad
