// Times one linear layer over numbers of tokens: ours, and LibTorch's dense and reference forms.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/structures/structures.h"
#include "tests/bench/roof.h"

namespace dyad::bench {

struct LayerChoice {
  const kernels::Structure* structure = nullptr;
  int64_t in = 0;
  int64_t out = 0;
  int64_t detail = 1;  // blocks or rank, as the structure's example has it
  // Instead of the example's tensors; empty: the example's.
  std::vector<std::pair<std::string, std::vector<int64_t>>> tensors;
  std::vector<std::pair<std::string, kernels::OptionValue>> options;
  double likeness = 0;  // of a row to the one before
  kernels::Element type = kernels::Element::kFloat32;
  kernels::Arithmetic arithmetic = kernels::Arithmetic::kExact;
};

struct LinearResult {
  int64_t tokens = 0;
  double seconds = 0;           // ours, per call, at best
  double flops_per_second = 0;  // multiplications and additions that the structure needs
  // Of weights, each read once; where rows choose, what independent rows choose in the mean.
  double bytes_per_second = 0;
  double fraction_of_roof = 0;  // 1: no machine code could be faster
  // What the streaming read does in the time of a call: by this, calls of different runs compare
  // whose time is that of reading weights.
  double streamed_bytes = 0;
  double over_dense = 0;        // speed-up over our dense layer of the same type; 0: it is one
  double over_torch_dense = 0;  // speed-up over a float32 layer; 0: not measured
  double over_torch_reference = 0;
  // Speed-up over exact arithmetic of the same weights, and of float32; 0: not measured.
  double over_exact = 0;
  double over_float32 = 0;
};

enum class Compare { kNo, kWithTorch };

// What the choice compiles to, without weights. Errors: InvalidArgument.
absl::StatusOr<kernels::Plan> PlanOf(const LayerChoice& choice);

// REQUIRES: PlanOf(choice) is no error.
std::vector<LinearResult> BenchLinear(const LayerChoice& choice, const std::vector<int64_t>& tokens,
                                      Compare compare, const Roof& roof, kernels::ThreadPool& pool);

}  // namespace dyad::bench
