// What the kernels on tensor cores share: operands of each type of weights, the end of a total.
#pragma once

#include <cstdint>

#include "kernels/cuda/contract.cuh"
#include "kernels/cuda/tensor.h"
#include "kernels/float16.h"

namespace dyad::kernels::cuda {

__device__ __forceinline__ uint16_t Narrow(Bf16, float value) { return ToBfloat16(value); }
__device__ __forceinline__ float Widen(Bf16, uint16_t bits) { return FromBfloat16(bits); }
__device__ __forceinline__ uint16_t Narrow(F16, float value) { return ToFloat16(value); }
__device__ __forceinline__ float Widen(F16, uint16_t bits) { return WidenFloat16(bits); }

// Weights of 16 outputs and 32 k as two operands of 16 k each.
template <Element type>
struct TensorWeights {
  static constexpr int kVectors = 2;  // of 16 bytes, of a lane
  using Format = F16;
  static __device__ __forceinline__ uint4 Operand(const uint4 (&vectors)[2], int half) {
    return vectors[half];
  }
};
template <>
struct TensorWeights<Element::kBfloat16> : TensorWeights<Element::kFloat16> {
  using Format = Bf16;
};
template <>
struct TensorWeights<Element::kInt8> {
  static constexpr int kVectors = 1;
  using Format = F16;
  // Two bytes, each a number plus 128, become the low ones of 1024 + byte in float16; 1024 + 128
  // comes off exactly.
  static __device__ __forceinline__ uint32_t WidenPair(uint32_t bytes, uint32_t selector) {
    return SubtractHalves(__byte_perm(bytes, 0x64646464u, selector), 0x64806480u);
  }
  static __device__ __forceinline__ uint4 Operand(const uint4 (&vectors)[1], int half) {
    const uint32_t first = half == 0 ? vectors[0].x : vectors[0].z;
    const uint32_t second = half == 0 ? vectors[0].y : vectors[0].w;
    return {WidenPair(first, 0x4140), WidenPair(first, 0x4342), WidenPair(second, 0x4140),
            WidenPair(second, 0x4342)};
  }
};

// d += 16 k of weights times those of 8 rows, the low piece first. x: planes of 32 k.
template <typename Format, int kPieces>
__device__ __forceinline__ void MultiplyHalf(const uint4& w, const uint4 (&x)[kPieces], int half,
                                             float (&d)[4]) {
#pragma unroll
  for (int piece = kPieces - 1; piece >= 0; --piece) {
    const uint4& of_x = x[piece];
    Mma(Format(), d, w, half == 0 ? of_x.x : of_x.z, half == 0 ? of_x.y : of_x.w);
  }
}

// Where values of the sums of 16 outputs and 8 rows belong: the i-th of a lane's 4.
__device__ __forceinline__ int OutputOf(int lane, int i) { return lane / 4 + i / 2 * 8; }
__device__ __forceinline__ int RowOf(int lane, int i) { return lane % 4 * 2 + i % 2; }

// What a total begins with: int8 totals run over whole numbers from 0.
template <Element type>
__device__ __forceinline__ float TotalAt(const ContractArgs& p, int block, int64_t row_group,
                                         int output) {
  return type == Element::kInt8 ? 0.0f : StartAt(p, block, row_group, output);
}

// Not inlined, as a kernel has many totals.
template <Element type>
__device__ __noinline__ void FinishTotal(const ContractArgs& p, int block, int64_t row_group,
                                         int output, float total) {
  if (output >= p.outputs || row_group >= p.row_groups()) return;
  if constexpr (type == Element::kInt8) {
    const float scale = p.scales[block * p.panels * kTensorPanel + output];
    total = std::fma(total, scale, StartAt(p, block, row_group, output));
  }
  Finish<Element::kFloat32>(p, block, row_group, output, total);
}

}  // namespace dyad::kernels::cuda
