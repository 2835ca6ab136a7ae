// LibTorch's ways to run a layer, for comparison. The only file of dyad-bench that knows LibTorch
// is torch_layers.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace dyad::bench {

// FLOP/s of a product of two 2048 × 2048 float32 matrices.
double TorchSgemmRate(int threads);

struct TorchShape {
  int64_t in = 0;
  int64_t out = 0;
  int64_t blocks = 1;
};

// Float32 layers of one shape with random weights, as many as fill kStreamBytes, used in turn.
class TorchLayers {
 public:
  virtual ~TorchLayers() = default;
  virtual void SetTokens(int64_t tokens) = 0;  // first of all
  virtual void Forward(int64_t call) = 0;      // runs layer `call` modulo their number
};

// y = x Wᵀ + b, rows are tokens.
std::unique_ptr<TorchLayers> TorchDense(const TorchShape& shape, int threads);

// near.bmm(x1) + far.bmm(x2) on [features, tokens], x1 and x2 two views of x, as the reference
// implementation of such layers computes it.
std::unique_ptr<TorchLayers> TorchTwoViews(const TorchShape& shape, int threads);

}  // namespace dyad::bench
