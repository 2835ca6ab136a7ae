// What a thread of kernels/cuda/exact.cu makes of a slice in shared memory: its chains go on.
#pragma once

#include <cmath>

#include "kernels/cuda/exact_copy.cuh"

namespace dyad::kernels::cuda {

template <typename Tiling>
using Sums = float[Tiling::kOwnOutputs][Tiling::kOwnRows];

// Which of the tile's outputs and rows are the first of this thread.
struct Own {
  int output, row;
};

// Where vector 0 of a thread's first output stands in a slice, and of its output o · kOutputLanes
// further.
template <typename Tiling>
__device__ __forceinline__ const uint4* WeightsAt(const unsigned char* slice, Own own, int o) {
  constexpr int kOutputs = static_cast<int>(kPanelOutputs);
  const int first = own.output / kOutputs * Tiling::kVectors * kOutputs + own.output % kOutputs;
  const int further = o * Tiling::kOutputLanes;
  return reinterpret_cast<const uint4*>(slice) + first +
         further / kOutputs * Tiling::kVectors * kOutputs + further % kOutputs;
}

// Multiplies kMany vectors from v on with as many elements of each row, in order.
template <typename Tiling, int kMany>
__device__ __forceinline__ void MultiplyVectors(const unsigned char* slice, int v, Own own,
                                                Sums<Tiling>& sums) {
  const float4* const xs = reinterpret_cast<const float4*>(slice + Tiling::kWeightBytes) + own.row;
#pragma unroll
  for (int i = 0; i < kMany; ++i) {
    uint4 raw[Tiling::kOwnOutputs];
#pragma unroll
    for (int o = 0; o < Tiling::kOwnOutputs; ++o) {
      raw[o] = WeightsAt<Tiling>(slice, own, o)[(v + i) * 32];
    }
#pragma unroll
    for (int part = 0; part < Tiling::kCount / 4; ++part) {
      float x[Tiling::kOwnRows][4];
#pragma unroll
      for (int r = 0; r < Tiling::kOwnRows; ++r) {
        const int four = (v + i) * (Tiling::kCount / 4) + part;
        const float4 some = xs[four * Tiling::kPitch + r * Tiling::kRowLanes];
        x[r][0] = some.x, x[r][1] = some.y, x[r][2] = some.z, x[r][3] = some.w;
      }
#pragma unroll
      for (int k = 0; k < 4; ++k) {
#pragma unroll
        for (int o = 0; o < Tiling::kOwnOutputs; ++o) {
          const float w = Vector<Tiling::kType>::At(raw[o], part * 4 + k);
#pragma unroll
          for (int r = 0; r < Tiling::kOwnRows; ++r) {
            sums[o][r] = std::fma(x[r][k], w, sums[o][r]);
          }
        }
      }
    }
  }
}

// The same for `count` elements of vector v: the end of a term. A zero more would turn a sum of
// -0 into +0.
template <typename Tiling>
__device__ __forceinline__ void MultiplyPart(const unsigned char* slice, int v, int count, Own own,
                                             Sums<Tiling>& sums) {
  const float* const xs =
      reinterpret_cast<const float*>(slice + Tiling::kWeightBytes) + own.row * 4;
#pragma unroll 1
  for (int k = 0; k < count; ++k) {
#pragma unroll
    for (int o = 0; o < Tiling::kOwnOutputs; ++o) {
      const uint4* const vector = WeightsAt<Tiling>(slice, own, o) + v * 32;
      const float w = Vector<Tiling::kType>::ElementAt(vector, k);
#pragma unroll
      for (int r = 0; r < Tiling::kOwnRows; ++r) {
        const int element = v * Tiling::kCount + k;
        const float x =
            xs[(element / 4 * Tiling::kPitch + r * Tiling::kRowLanes) * 4 + element % 4];
        sums[o][r] = std::fma(x, w, sums[o][r]);
      }
    }
  }
}

// `count` elements of a slice.
template <typename Tiling>
__device__ __forceinline__ void MultiplySlice(const unsigned char* slice, int count, Own own,
                                              Sums<Tiling>& sums) {
  const int whole = min(count, Tiling::kDepth) / Tiling::kCount;
  constexpr int kGroup = Tiling::kVectors < 4 ? Tiling::kVectors : 4;
  if (whole == Tiling::kVectors) {
    MultiplyVectors<Tiling, Tiling::kVectors>(slice, 0, own, sums);
  } else {
    int v = 0;
#pragma unroll 1
    for (; v + kGroup <= whole; v += kGroup) {
      MultiplyVectors<Tiling, kGroup>(slice, v, own, sums);
    }
#pragma unroll 1
    for (; v < whole; ++v) MultiplyVectors<Tiling, 1>(slice, v, own, sums);
  }
  if (count >= Tiling::kDepth) return;
  MultiplyPart<Tiling>(slice, whole, count % Tiling::kCount, own, sums);
}

}  // namespace dyad::kernels::cuda
