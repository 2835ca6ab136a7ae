// Two passes for the statistics (mean, then variance about it), one to write: kernels/cpu/norm.h.
#include "kernels/cpu/norm.h"

#include <algorithm>
#include <cmath>

namespace dyad::kernels {
namespace {

constexpr int64_t kLanes = 16;        // partial sums: what a compiler makes vectors of
constexpr int64_t kRowsPerTask = 16;  // about 10 µs at 768 features

// Σ term(x[i]); lane l sums i = l, l + 16, …; the lanes are added in pairs.
template <typename Term>
float LaneSum(const float* x, int64_t count, Term term) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += term(x[i + l]);
  }
  for (int64_t l = 0; i + l < count; ++l) lanes[l] += term(x[i + l]);
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t l = 0; l < width; ++l) lanes[l] += lanes[l + width];
  }
  return lanes[0];
}

void NormalizeRow(const NormWeights& weights, int64_t features, const float* x, float* y) {
  const auto count = static_cast<float>(features);
  const float mean = LaneSum(x, features, [](float v) { return v; }) / count;
  const float variance =
      LaneSum(x, features, [mean](float v) { return (v - mean) * (v - mean); }) / count;
  const float scale = 1.0f / std::sqrt(variance + weights.epsilon);
  if (weights.weight.empty()) {
    for (int64_t i = 0; i < features; ++i) y[i] = (x[i] - mean) * scale;
    return;
  }
  const float* weight = weights.weight.data();
  const float* bias = weights.bias.data();
  for (int64_t i = 0; i < features; ++i) y[i] = (x[i] - mean) * scale * weight[i] + bias[i];
}

}  // namespace

void NormalizeRows(const NormWeights& weights, int64_t rows, int64_t features, ConstRows x, Rows y,
                   ThreadPool& pool) {
  pool.Run((rows + kRowsPerTask - 1) / kRowsPerTask, [&](int64_t task) {
    const int64_t end = std::min(rows, (task + 1) * kRowsPerTask);
    for (int64_t row = task * kRowsPerTask; row < end; ++row) {
      NormalizeRow(weights, features, x.data + row * x.stride, y.data + row * y.stride);
    }
  });
}

}  // namespace dyad::kernels
