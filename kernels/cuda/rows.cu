// kernels/cuda/rows.h.
#include <cmath>

#include "kernels/cuda/contract.cuh"
#include "kernels/cuda/lanes.cuh"
#include "kernels/cuda/rows.h"
#include "kernels/float16.h"

namespace dyad::kernels::cuda {
namespace {

constexpr int kThreads = 128;

constexpr int kBatch = 8;  // loads of a thread that are under way together

// to[i] = from[i], by all threads of the block.
__device__ __forceinline__ void CopyRow(const float* from, float* to, int count) {
  for (int first = static_cast<int>(threadIdx.x); first < count; first += kBatch * kThreads) {
    float values[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      values[i] = first + i * kThreads < count ? from[first + i * kThreads] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (first + i * kThreads < count) to[first + i * kThreads] = values[i];
    }
  }
}

// Grid:   x = row.
// Block:  128 threads over features; 16 of them, and as many idle ones of their warp, sum.
// Shared: the row, weight and bias; its mean and its scale.
__global__ void __launch_bounds__(kThreads, 1) NormalizeRows(const NormArgs p) {
  LaunchLaterKernel();
  const int features = static_cast<int>(p.features);
  float* const row = reinterpret_cast<float*>(DynamicShared());
  float* const of_row = row + features;
  float* const weight = of_row + 2;
  float* const bias = weight + features;
  const int thread = static_cast<int>(threadIdx.x);
  const bool is_affine = p.weight != nullptr;
  if (is_affine) {
    CopyRow(p.weight, weight, features);
    CopyRow(p.bias, bias, features);
  }
  WaitForEarlierKernel();
  CopyRow(p.x.data + blockIdx.x * p.x.stride, row, features);
  __syncthreads();
  if (thread < 32) {
    const int lane = thread % kLanes;
    const float count = static_cast<float>(features);
    float sum = 0;
#pragma unroll 16
    for (int i = lane; i < features; i += kLanes) sum = sum + row[i];
    const float mean = LaneSum(sum) / count;
    float squares = 0;
#pragma unroll 16
    for (int i = lane; i < features; i += kLanes) {
      const float difference = row[i] - mean;
      squares = squares + difference * difference;
    }
    const float variance = LaneSum(squares) / count;
    if (thread == 0) {
      of_row[0] = mean;
      of_row[1] = 1.0f / sqrtf(variance + p.epsilon);
    }
  }
  __syncthreads();
  const float mean = of_row[0], scale = of_row[1];
  float* const y = p.y.data + blockIdx.x * p.y.stride;
#pragma unroll 4
  for (int i = thread; i < features; i += kThreads) {
    const float value = (row[i] - mean) * scale;
    y[i] = is_affine ? value * weight[i] + bias[i] : value;
  }
}

__device__ __forceinline__ float ElementAt(const EmbedArgs& p, int64_t row, int64_t column) {
  const int64_t i = row * p.columns + column;
  switch (p.type) {
    case Element::kBfloat16:
      return FromBfloat16(static_cast<const uint16_t*>(p.table)[i]);
    case Element::kFloat16:
      return FromFloat16(static_cast<const uint16_t*>(p.table)[i]);
    case Element::kInt8:
      return static_cast<float>(static_cast<const int8_t*>(p.table)[i]) * p.scales[row];
    default:
      return static_cast<const float*>(p.table)[i];
  }
}

// Grid: x = row. Block: 128 threads over columns.
__global__ void __launch_bounds__(kThreads, 1) EmbedRows(const EmbedArgs p) {
  LaunchLaterKernel();
  WaitForEarlierKernel();
  const int64_t t = blockIdx.x;
  const int64_t row = p.index[t] + p.offset;
  float* const y = p.y.data + t * p.y.stride;
  for (int64_t i = threadIdx.x; i < p.columns; i += kThreads) {
    const float value = ElementAt(p, row, i);
    y[i] = p.adds ? y[i] + value : value;
  }
}

// Grid: x = row. Block: 128 threads over columns.
__global__ void __launch_bounds__(kThreads, 1) GatherRows(const GatherArgs p) {
  LaunchLaterKernel();
  WaitForEarlierKernel();
  const int64_t t = blockIdx.x;
  const float* const x = p.x.data + p.index[t] * p.x.stride;
  float* const y = p.y.data + t * p.y.stride;
  for (int64_t i = threadIdx.x; i < p.columns; i += kThreads) y[i] = x[i];
}

// Grid: x = row. Block: 128 threads over features.
__global__ void __launch_bounds__(kThreads, 1) FinishRows(const FinishArgs p) {
  LaunchLaterKernel();
  WaitForEarlierKernel();
  const int64_t row = blockIdx.x;
  for (int64_t i = threadIdx.x; i < p.features; i += kThreads) {
    p.y.data[row * p.y.stride + i] =
        Finished(p.sum.data[row * p.sum.stride + i], p.bias, p.activation, p.residual, row, i);
  }
}

LaunchShape RowByRow(int64_t rows) {
  return {.grid = {static_cast<unsigned>(rows)}, .block = {kThreads}};
}

}  // namespace

void LaunchNorm(Runtime& runtime, const NormArgs& args) {
  LaunchShape shape = RowByRow(args.rows);
  shape.shared_bytes = static_cast<size_t>(3 * args.features + 2) * sizeof(float);
  runtime.Launch(shape, NormalizeRows, args);
}

void LaunchEmbed(Runtime& runtime, const EmbedArgs& args) {
  runtime.Launch(RowByRow(args.rows), EmbedRows, args);
}

void LaunchGather(Runtime& runtime, const GatherArgs& args) {
  runtime.Launch(RowByRow(args.rows), GatherRows, args);
}

void LaunchFinish(Runtime& runtime, const FinishArgs& args) {
  runtime.Launch(RowByRow(args.rows), FinishRows, args);
}

}  // namespace dyad::kernels::cuda
