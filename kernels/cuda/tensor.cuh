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

// Weights of 16 outputs and 32 k as two operands of 16 k.
template <Element type>
struct TensorWeights {
  static constexpr int kVectors = 2;  // of 16 bytes, of a lane
  using Format = F16;
  static __device__ __forceinline__ void Widen(const uint4 (&vectors)[2], uint4 (&operands)[2]) {
    operands[0] = vectors[0];
    operands[1] = vectors[1];
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
  // A byte becomes the low one of the float16 1024 + byte; 1024 + 128 comes off exactly.
  static __device__ __forceinline__ uint32_t WidenPair(uint32_t biased, uint32_t selector) {
    return SubtractHalves(__byte_perm(biased, 0x64646464u, selector), 0x64806480u);
  }
  static __device__ __forceinline__ void Widen(const uint4 (&vectors)[1], uint4 (&operands)[2]) {
    const uint32_t words[4] = {vectors[0].x, vectors[0].y, vectors[0].z, vectors[0].w};
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const uint32_t first = words[2 * i] ^ 0x80808080u, second = words[2 * i + 1] ^ 0x80808080u;
      operands[i].x = WidenPair(first, 0x4140);
      operands[i].y = WidenPair(first, 0x4342);
      operands[i].z = WidenPair(second, 0x4140);
      operands[i].w = WidenPair(second, 0x4342);
    }
  }
};

// d += 32 k of weights times those of 8 rows; of each 16 k the low piece first.
template <typename Format, int kPieces>
__device__ __forceinline__ void MultiplyUnit(const uint4 (&w)[2], const uint4 (&x)[kPieces],
                                             float (&d)[4]) {
#pragma unroll
  for (int piece = kPieces - 1; piece >= 0; --piece) Mma(Format(), d, w[0], x[piece].x, x[piece].y);
#pragma unroll
  for (int piece = kPieces - 1; piece >= 0; --piece) Mma(Format(), d, w[1], x[piece].z, x[piece].w);
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

template <Element type>
__device__ __forceinline__ void FinishTotal(const ContractArgs& p, int block, int64_t row_group,
                                            int output, float total) {
  if constexpr (type == Element::kInt8) {
    const float scale = p.scales[block * p.panels * kTensorPanel + output];
    total = std::fma(total, scale, StartAt(p, block, row_group, output));
  }
  Finish<Element::kFloat32>(p, block, row_group, output, total);
}

}  // namespace dyad::kernels::cuda
