// The integer arithmetic of linear layers: int8 weights times whole numbers, summed exactly. No
// order, tiling, instruction set or device can change such a sum.
//
// A row of a step's source becomes whole numbers q with one float32 `unit`, so x ≈ unit · q:
//
//   integer24   q in [−2^23, 2^23 − 1]   unit a power of two
//   integer16   q in [−2^15, 2^15 − 1]   unit a power of two
//   integer8    q in [−127, 127]         unit the row's largest magnitude / 127
//
// The unit is of the whole row, once for all that reads it. A row of which a number is infinite or
// none has q = 0 and a unit that is no number. Weights are those of kernels/int8.h, w ≈ scale · p.
// For each output of a contraction
//
//   S = Σ q · p over all its terms and k      exact; ragged reads are q = 0
//   y = fma(float(S) · unit, scale, start)    start: what stands in the destination
//
// where float(S) rounds once, to nearest even. Then bias, activation and residual, as ever.
//
// So run steps that contract for every row, with weights of int8 (ArithmeticOf in kernels/plan.h).
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/arithmetic.h"

namespace dyad::kernels {

// Of all terms of an output together: sums of bytes stay below 2^31.
inline constexpr int64_t kMostIntegerDepth = 65536;

struct RowUnit {
  float multiplier = 0;  // q = x · multiplier to the nearest whole number, ties to even
  float unit = 0;
};

// `largest`: the bits of max |x|, compared as whole numbers, which puts NaN above infinity.
inline RowUnit UnitOf(Arithmetic arithmetic, uint32_t largest) {
  if (largest >= 0x7f800000u) return {0.0f, std::numeric_limits<float>::quiet_NaN()};
  if (arithmetic == Arithmetic::kInteger8) {
    const float value = std::max(std::bit_cast<float>(largest), 0x1p-100f);
    return {127.0f / value, value / 127.0f};
  }
  // The largest gets a q in [2^places, 2^(places + 1)]; both numbers are normal.
  const uint32_t places = arithmetic == Arithmetic::kInteger16 ? 14 : 22;
  const uint32_t exponent = std::max(largest >> 23, places + 1);
  return {std::bit_cast<float>((254 + places - exponent) << 23),
          std::bit_cast<float>((exponent - places) << 23)};
}

constexpr int32_t LargestWhole(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::kInteger24:
      return (1 << 23) - 1;
    case Arithmetic::kInteger16:
      return (1 << 15) - 1;
    default:
      return 127;
  }
}

// Only the largest of a row can meet the cut. REQUIRES: `multiplier` is of x's row.
inline int32_t ToWhole(Arithmetic arithmetic, float x, float multiplier) {
  if (multiplier == 0) return 0;
  return std::min(static_cast<int32_t>(std::nearbyint(x * multiplier)), LargestWhole(arithmetic));
}

}  // namespace dyad::kernels
