// Cosines and sines of rotary position embedding, per position and pair of dimensions.
#pragma once

#include <cstdint>
#include <vector>

namespace dyad {

struct RotaryAngles {
  std::vector<float> cos, sin;  // [positions, rotary_size / 2]
};

// angle(p, i) = p · base^(−2 i / rotary_size), i < rotary_size / 2, as the reference computes it:
// frequency and angle in float32.
RotaryAngles MakeRotaryAngles(int64_t positions, int64_t rotary_size, double base);

}  // namespace dyad
