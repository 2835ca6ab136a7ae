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

}  // namespace dyad::kernels::reference
