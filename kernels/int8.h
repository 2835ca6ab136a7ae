// Weights of 8 bits: w ≈ scale · q with whole q in [-127, 127], one float32 scale for a row.
//
//   scale = max |w| / 127, rounded to float32
//   q     = w / scale, rounded to float32, then to the nearest whole number, ties to even
//
// A row whose scale would be below 2^-126, a row of zeros among them, has scale 0 and q = 0:
// nothing here is denormal, and q never leaves its range. The error of a weight is at most scale /
// 2 and a few roundings of float32.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace dyad::kernels {

// `largest`: of a row's magnitudes; finite.
inline float Int8Scale(float largest) {
  const float scale = largest / 127.0f;
  return scale < std::numeric_limits<float>::min() ? 0.0f : scale;
}

// |value| at most the `largest` that gave `scale`.
inline int8_t QuantizeInt8(float value, float scale) {
  if (scale == 0.0f) return 0;
  // Adding 1.5 · 2^23 leaves no bits for a fraction; unlike a call of nearbyint, loops of this
  // become vectors.
  constexpr float kRound = 12582912.0f;
  return static_cast<int8_t>(static_cast<int32_t>((value / scale + kRound) - kRound));
}

}  // namespace dyad::kernels
