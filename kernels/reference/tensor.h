// What a tensor core computes, bit for bit: the definition behind kernels that use one.
//
// D = C + Σ of `terms` exact products. All are aligned to the largest exponent among them, cut
// toward zero to `bits` fraction bits, added as whole numbers; the sum is cut to float32. Zeros
// have no exponent; the largest counts as −133 at least; what is cut to zero is +0. So an output
// depends on its row, its column and C alone, and the order of the products does not matter.
//
// For finite inputs; a result beyond float32 is not modelled. Source: the numerical behaviour
// published for each generation (arXiv 2511.10909), with the three rules about zeros and small
// numbers found on an H200 (docs/gpu.md).
#pragma once

#include <cstdint>
#include <span>

#include "kernels/arithmetic.h"
#include "kernels/element.h"

namespace dyad::kernels::reference {

struct TensorCore {
  int bits = 25;   // compute capability 9.0 and above; 24 on 8.x
  int terms = 16;  // of the 16 of m16n8k16 at once; on 8.x 8: the first half, then the second
};
inline constexpr TensorCore kTensorCore80 = {.bits = 24, .terms = 8};
inline constexpr TensorCore kTensorCore90 = {};

// The formats of operands, by the exponent of their smallest normal number.
inline constexpr int kBfloat16Least = -126;
inline constexpr int kFloat16Least = -14;

// One output of mma.m16n8k16: c + Σ a[k] · b[k] over 16 k. Shapes: a, b [16], values of a format.
float MultiplyTensor(const TensorCore& core, const float* a, const float* b, float c, int least);

// What layers make of it, in `accurate` and `fast` arithmetic. The k of a term is cut into segments
// of 512; the last may be short. A segment begins with c = 0. With x · scale = high + low, both
// rounded to nearest in the operands' format and low from the exact rest, for each 16 k:
//
//   c = MultiplyTensor(w, low, c)     accurate only
//   c = MultiplyTensor(w, high, c)
//
// and at its end total = fma(c, 1 / scale, total). Zeros after the last k change no bit.
//
// Operands are bfloat16 for weights of bfloat16, where the scale is 1; else float16, int8 as whole
// numbers. There the scale is the power of two that brings the largest |x| of the segment into
// [2^14, 2^15), 2^126 at most, 1 for a segment of zeros: no input overflows. A segment in which an
// x is not finite, or so large that bfloat16 has only infinity for it, makes the total NaN.
struct TensorArithmetic {
  TensorCore core = kTensorCore90;
  Arithmetic arithmetic = Arithmetic::kAccurate;  // not kExact
};
inline constexpr int64_t kTensorSegment = 512;

// The total after one term. Shapes: w, x [depth]; w: values of `type`, whole numbers for int8.
// REQUIRES: a type of 8 or 16 bits.
float AddTensorTerm(const TensorArithmetic& arithmetic, Element type, std::span<const float> w,
                    std::span<const float> x, float total);

}  // namespace dyad::kernels::reference
