// Rounded at the same places as the reference, so that angles of late positions agree.
#include "server/model/rotary.h"

#include "kernels/exact_math.h"

namespace dyad {

using kernels::exact::CosSin;
using kernels::exact::CosSinDouble;
using kernels::exact::PowDouble;

RotaryAngles MakeRotaryAngles(int64_t positions, int64_t rotary_size, double base) {
  const int64_t pairs = rotary_size / 2;
  std::vector<float> frequency(pairs);
  for (int64_t i = 0; i < pairs; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(rotary_size);
    frequency[i] = 1.0f / static_cast<float>(PowDouble(static_cast<float>(base), exponent));
  }
  RotaryAngles angles;
  angles.cos.resize(positions * pairs);
  angles.sin.resize(positions * pairs);
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<float>(p) * frequency[i];
      const CosSin turn = CosSinDouble(angle);
      angles.cos[p * pairs + i] = static_cast<float>(turn.cos);
      angles.sin[p * pairs + i] = static_cast<float>(turn.sin);
    }
  }
  return angles;
}

}  // namespace dyad
