// Two passes for the statistics (mean, then variance about it), one to write.
#include "server/model/layer_norm.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/model/convert.h"
#include "server/model/tensor_rows.h"

namespace dyad {
namespace {

constexpr int64_t kLanes = 16;  // partial sums: what the compiler vectorises without reordering
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

}  // namespace

void LayerNorm::ApplyRow(const float* x, float* y, int64_t features) const {
  const float count = static_cast<float>(features);
  const float mean = LaneSum(x, features, [](float v) { return v; }) / count;
  const float variance =
      LaneSum(x, features, [mean](float v) { return (v - mean) * (v - mean); }) / count;
  const float scale = 1.0f / std::sqrt(variance + epsilon_);
  if (weight_.empty()) {
    for (int64_t i = 0; i < features; ++i) y[i] = (x[i] - mean) * scale;
  } else {
    for (int64_t i = 0; i < features; ++i) y[i] = (x[i] - mean) * scale * weight_[i] + bias_[i];
  }
}

void LayerNorm::Apply(const at::Tensor& x, const at::Tensor& y, kernels::ThreadPool& pool) const {
  const int64_t rows = x.size(0);
  const int64_t features = x.size(1);
  const kernels::ConstRows from = ReadRows(x);
  const kernels::Rows to = WriteRows(y);
  pool.Run((rows + kRowsPerTask - 1) / kRowsPerTask, [&](int64_t task) {
    const int64_t end = std::min(rows, (task + 1) * kRowsPerTask);
    for (int64_t row = task * kRowsPerTask; row < end; ++row) {
      ApplyRow(from.data + row * from.stride, to.data + row * to.stride, features);
    }
  });
}

absl::StatusOr<LayerNorm> LoadLayerNorm(LoadContext& context, const std::string& path,
                                        int64_t features, float epsilon, Affine affine) {
  if (affine == Affine::kNone) return LayerNorm({}, {}, epsilon);
  ASSIGN_OR_RETURN(const NamedTensor weight,
                   context.tensors.Take(Text(path, ".weight"), {features}));
  ASSIGN_OR_RETURN(const NamedTensor bias, context.tensors.Take(Text(path, ".bias"), {features}));
  context.tally.AddPlain(2 * features);
  if (context.pass == LoadPass::kCheck) return LayerNorm();
  ASSIGN_OR_RETURN(std::vector<float> weights, ReadFloats(weight, context.pool));
  ASSIGN_OR_RETURN(std::vector<float> biases, ReadFloats(bias, context.pool));
  context.tally.weight_bytes += static_cast<int64_t>(2 * features * sizeof(float));
  return LayerNorm(std::move(weights), std::move(biases), epsilon);
}

}  // namespace dyad
