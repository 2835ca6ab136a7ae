// Weights of a step in the order in which kernels read them: those of kernels/cuda/contract.h, and
// those of kernels/cuda/tensor.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cpu/thread_pool.h"
#include "kernels/plan.h"

namespace dyad::kernels::cuda {

struct PackedWeights {
  std::vector<std::byte> weights;
  std::vector<float> scales;  // int8: [blocks][panels · outputs of a panel]; else empty
  int64_t vectors = 0;        // of a term; for tensor cores its units
  int64_t panels = 0;         // of a block
};

// `type`: what weights become. int8 is made by the rules of kernels/int8.h, a scale for each output
// over all its terms. Cost: one pass over the weights, two for int8.
PackedWeights PackWeights(const Contract& step, Element type, ThreadPool& pool);

// The same for tensor cores. REQUIRES: a type of 8 or 16 bits.
PackedWeights PackTensorWeights(const Contract& step, Element type, ThreadPool& pool);

}  // namespace dyad::kernels::cuda
