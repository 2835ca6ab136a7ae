// Times one linear layer over numbers of tokens: ours, and LibTorch's dense and reference forms.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/linear.h"
#include "kernels/thread_pool.h"
#include "tests/bench/roof.h"

namespace dyad::bench {

struct LayerChoice {
  int64_t in = 0;
  int64_t out = 0;
  int64_t blocks = 1;
  std::optional<kernels::DyadVariant> variant;  // none: dense
  kernels::WeightType type = kernels::WeightType::kFloat32;
};

struct LinearResult {
  int64_t tokens = 0;
  double seconds = 0;           // ours, per call, at best
  double flops_per_second = 0;  // multiplications and additions that the structure needs
  double bytes_per_second = 0;  // of weights, each read once
  double fraction_of_roof = 0;  // 1: no machine code could be faster
  // What the streaming read does in the time of a call: by this, calls of different runs compare
  // whose time is that of reading weights.
  double streamed_bytes = 0;
  double over_torch_dense = 0;  // speed-up over a float32 layer; 0: not measured
  double over_torch_reference = 0;
};

enum class Compare { kNo, kWithTorch };

std::vector<LinearResult> BenchLinear(const LayerChoice& choice, const std::vector<int64_t>& tokens,
                                      Compare compare, const Roof& roof, kernels::ThreadPool& pool);

}  // namespace dyad::bench
