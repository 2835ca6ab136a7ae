// Layer normalisation over the features of each row: y = (x − mean) / sqrt(variance + ε) · weight +
// bias.
//
// Ours because LibTorch's allocates its result at each call. Sums go over 16 fixed partial sums, so
// the bits of a row depend on the row alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "server/model/load_context.h"

namespace at {
class Tensor;
}

namespace dyad {

class LayerNorm {
 public:
  LayerNorm() = default;
  // `weight` and `bias`: one per feature, or both empty for none.
  LayerNorm(std::vector<float> weight, std::vector<float> bias, float epsilon)
      : weight_(std::move(weight)), bias_(std::move(bias)), epsilon_(epsilon) {}

  // Shapes: x, y [rows, features]; y may be x.
  // Error: of the order of sqrt(features) · 2^-24 relative to the largest term.
  void Apply(const at::Tensor& x, const at::Tensor& y, kernels::ThreadPool& pool) const;

 private:
  void ApplyRow(const float* x, float* y, int64_t features) const;

  std::vector<float> weight_;
  std::vector<float> bias_;
  float epsilon_ = 1e-5f;
};

enum class Affine { kNone, kPresent };

// Takes PATH.weight and PATH.bias, both [features].
absl::StatusOr<LayerNorm> LoadLayerNorm(LoadContext& context, const std::string& path,
                                        int64_t features, float epsilon, Affine affine);

}  // namespace dyad
