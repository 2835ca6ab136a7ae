// LibTorch's ways to run a layer: tests/bench/torch_layers.h.
#include "tests/bench/torch_layers.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <malloc.h>

#include <algorithm>

#include "tests/bench/roof.h"
#include "tests/bench/timing.h"

namespace dyad::bench {
namespace {

// LibTorch allocates each result. Memory that it frees stays mapped, so that page faults, which are
// dear on virtual machines, do not count against it.
void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

// LibTorch's threads and, where its products come from an OpenBLAS with threads of its own
// (Debian's), those too.
void SetThreads(int threads) {
  KeepFreedMemory();
  at::set_num_threads(threads);
  using SetBlasThreads = void (*)(int);
  const auto set =
      reinterpret_cast<SetBlasThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  if (set != nullptr) set(threads);
}

int64_t CopiesOf(int64_t weight_bytes) { return (kStreamBytes + weight_bytes - 1) / weight_bytes; }

class Dense final : public TorchLayers {
 public:
  explicit Dense(const TorchShape& shape) : shape_(shape), bias_(at::randn({shape.out})) {
    for (int64_t i = 0; i < CopiesOf(shape.in * shape.out * 4); ++i) {
      weights_.push_back(at::randn({shape.out, shape.in}));
    }
  }
  void SetTokens(int64_t tokens) override { x_ = at::randn({tokens, shape_.in}); }
  void Forward(int64_t call) override {
    const at::NoGradGuard no_grad;
    y_ = at::linear(x_, weights_[static_cast<size_t>(call) % weights_.size()], bias_);
  }

 private:
  TorchShape shape_;
  at::Tensor x_, bias_, y_;
  std::vector<at::Tensor> weights_;
};

class TwoViews final : public TorchLayers {
 public:
  explicit TwoViews(const TorchShape& shape) : shape_(shape), bias_(at::randn({shape.out, 1})) {
    const int64_t in = shape.in / shape.blocks, out = shape.out / shape.blocks;
    for (int64_t i = 0; i < CopiesOf(2 * in * shape.out * 4); ++i) {
      near_.push_back(at::randn({shape.blocks, out, in}));
      far_.push_back(at::randn({shape.blocks, out, in}));
    }
  }
  void SetTokens(int64_t tokens) override {
    tokens_ = tokens;
    x_ = at::randn({shape_.in, tokens});
  }
  void Forward(int64_t call) override {
    const at::NoGradGuard no_grad;
    const size_t layer = static_cast<size_t>(call) % near_.size();
    const int64_t in = shape_.in / shape_.blocks;
    // The far view: feature i · blocks + d is element i of block d.
    const at::Tensor near_x = x_.view({shape_.blocks, in, tokens_});
    const at::Tensor far_x = x_.view({in, shape_.blocks, tokens_}).transpose(0, 1);
    y_ = near_[layer].bmm(near_x) + far_[layer].bmm(far_x);
    y_ = y_.view({shape_.out, tokens_});
    y_ += bias_;
  }

 private:
  TorchShape shape_;
  int64_t tokens_ = 0;
  at::Tensor x_, bias_, y_;
  std::vector<at::Tensor> near_, far_;
};

}  // namespace

double TorchSgemmRate(int threads) {
  SetThreads(threads);
  constexpr int64_t kSize = 2048;
  const at::Tensor a = at::randn({kSize, kSize}), b = at::randn({kSize, kSize});
  at::Tensor c = at::empty({kSize, kSize});
  const double seconds = BestSeconds([&](int64_t) { at::mm_out(c, a, b); });
  return 2.0 * kSize * kSize * kSize / seconds;
}

std::unique_ptr<TorchLayers> TorchDense(const TorchShape& shape, int threads) {
  SetThreads(threads);
  return std::make_unique<Dense>(shape);
}

std::unique_ptr<TorchLayers> TorchTwoViews(const TorchShape& shape, int threads) {
  SetThreads(threads);
  return std::make_unique<TwoViews>(shape);
}

}  // namespace dyad::bench
