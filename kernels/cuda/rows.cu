// kernels/cuda/rows.h.
#include <cmath>

#include "kernels/cuda/contract.cuh"
#include "kernels/cuda/lanes.cuh"
#include "kernels/cuda/rows.h"
#include "kernels/float16.h"

namespace dyad::kernels::cuda {
namespace {

constexpr int kThreads = 128;

// Grid: x = 8 rows. Block: 128 threads, 16 lanes a row.
__global__ void __launch_bounds__(kThreads, 1) NormalizeRows(const NormArgs p) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / kLanes) +
                      static_cast<int>(threadIdx.x) / kLanes;
  // Lanes past the last row meet the others, and touch nothing.
  const int64_t features = row < p.rows ? p.features : 0;
  const float* const x = p.x.data + row * p.x.stride;
  const float count = static_cast<float>(p.features);
  float sum = 0;
  for (int64_t i = lane; i < features; i += kLanes) sum = sum + x[i];
  const float mean = LaneSum(sum) / count;
  float squares = 0;
  for (int64_t i = lane; i < features; i += kLanes) {
    const float difference = x[i] - mean;
    squares = squares + difference * difference;
  }
  const float variance = LaneSum(squares) / count;
  const float scale = 1.0f / sqrtf(variance + p.epsilon);
  float* const y = p.y.data + row * p.y.stride;
  for (int64_t i = lane; i < features; i += kLanes) {
    const float value = (x[i] - mean) * scale;
    y[i] = p.weight == nullptr ? value : value * p.weight[i] + p.bias[i];
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
  const int64_t t = blockIdx.x;
  const float* const x = p.x.data + p.index[t] * p.x.stride;
  float* const y = p.y.data + t * p.y.stride;
  for (int64_t i = threadIdx.x; i < p.columns; i += kThreads) y[i] = x[i];
}

// Grid: x = row. Block: 128 threads over features.
__global__ void __launch_bounds__(kThreads, 1) FinishRows(const FinishArgs p) {
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
  constexpr int kRows = kThreads / kLanes;
  runtime.Launch(RowByRow((args.rows + kRows - 1) / kRows), NormalizeRows, args);
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
