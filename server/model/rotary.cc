// Rounded at the same places as the reference, so that angles of late positions agree.
#include "server/model/rotary.h"

#include <cmath>

namespace dyad {

RotaryAngles MakeRotaryAngles(int64_t positions, int64_t rotary_size, double base) {
  const int64_t pairs = rotary_size / 2;
  std::vector<float> frequency(pairs);
  for (int64_t i = 0; i < pairs; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(rotary_size);
    frequency[i] = 1.0f / std::pow(static_cast<float>(base), exponent);
  }
  RotaryAngles angles;
  angles.cos.resize(positions * pairs);
  angles.sin.resize(positions * pairs);
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<float>(p) * frequency[i];
      angles.cos[p * pairs + i] = static_cast<float>(std::cos(angle));
      angles.sin[p * pairs + i] = static_cast<float>(std::sin(angle));
    }
  }
  return angles;
}

}  // namespace dyad
