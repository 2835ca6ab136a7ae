// The bfloat16 arithmetic of linear layers: bfloat16 weights times activations rounded to bfloat16,
// added to a float32 sum in pairs. It is what one instruction of some processors computes
// (VDPBF16PS), so they run it at twice the rate of float32.
//
// An activation is rounded where a contraction reads it: to nearest, ties to even, a denormal to a
// zero of its sign. A sum starts at what stands in the destination and takes its terms in order, a
// term from k = 0 on in pairs, of each pair the odd one first:
//
//   sum = fma(x[k + 1], w[k + 1], sum)
//   sum = fma(x[k], w[k], sum)
//
// An odd last k has a partner with x = +0 and w = +0. Ragged reads are x = +0. Each fma rounds
// once; a denormal among its inputs, or as its result, counts as a zero of its sign. Then bias,
// activation and residual, as ever. A result is denormal if it would be below 2^-126 with 24 bits
// and any exponent: x86 decides so, others may not.
//
// So run steps that contract for every row, with weights of bfloat16 (ArithmeticOf in
// kernels/plan.h).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/float16.h"

namespace dyad::kernels {

inline float WithoutDenormals(float x) {
  return std::abs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x;
}

inline uint16_t ToBfloat16Activation(float x) { return ToBfloat16(WithoutDenormals(x)); }

// One fma of the definition. REQUIRES: x and w are bfloat16 numbers.
inline float AddBfloat16Product(float x, float w, float sum) {
  x = WithoutDenormals(x);
  w = WithoutDenormals(w);
  sum = WithoutDenormals(sum);
  const float result = std::fma(x, w, sum);
  if (std::abs(result) != 0x1p-126f) return WithoutDenormals(result);
  // Rounded up from below? With 24 bits and any exponent, what is under the middle between 2^-126
  // and the number before it would stay below. In double such a sum is exact.
  const double exact = std::fma(double{x}, double{w}, double{sum});
  return std::abs(exact) < 0x1p-126 - 0x1p-151 ? std::copysign(0.0f, result) : result;
}

}  // namespace dyad::kernels
