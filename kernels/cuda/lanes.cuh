// Reductions over 16 neighbouring lanes of a warp, by the tree that the CPU's kernels use.
#pragma once

#include "kernels/cuda/ptx.cuh"

namespace dyad::kernels::cuda {

inline constexpr int kLanes = 16;

// ((0 + 8) + (4 + 12)) + …: halves folded onto each other. Every lane gets the sum.
__device__ __forceinline__ float LaneSum(float value) {
#pragma unroll
  for (int distance = kLanes / 2; distance > 0; distance /= 2) {
    value = value + __shfl_xor_sync(0xffffffffu, value, distance, kLanes);
  }
  return value;
}

__device__ __forceinline__ float Larger(float a, float b) { return a < b ? b : a; }

__device__ __forceinline__ float LaneMax(float value) {
#pragma unroll
  for (int distance = kLanes / 2; distance > 0; distance /= 2) {
    value = Larger(value, __shfl_xor_sync(0xffffffffu, value, distance, kLanes));
  }
  return value;
}

}  // namespace dyad::kernels::cuda
