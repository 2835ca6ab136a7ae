// One step of a plan on the device (Contract of kernels/plan.h), as its kernels take it.
//
// All give the same bits: an output is one chain of fused multiply-adds, owned by one thread from
// start to end; terms in order, k ascending, k never padded.
//
// Layout of packed weights, so that a lane reads 16 bytes of its output and a warp 512 in a row:
// [block][panel of 32 outputs][term][vector of k][32 outputs][n], n elements in 16 bytes. Outputs
// and the last vector of a term are padded with zeros, which no chain reads.
#pragma once

#include <cstdint>

#include "kernels/cuda/runtime.h"
#include "kernels/element.h"
#include "kernels/epilogue.h"
#include "kernels/plan.h"

namespace dyad::kernels::cuda {

inline constexpr int64_t kPanelOutputs = 32;
inline constexpr int64_t kVectorBytes = 16;

constexpr int64_t VectorElements(Element type) { return kVectorBytes / ElementBytes(type); }

// Rows in the device's memory.
struct DeviceRows {
  float* data = nullptr;
  int64_t stride = 0;
};

// Terms of a step whose sources stand among the arguments, where they are read at once.
inline constexpr int kNearTerms = 2;

// REQUIRES: rows · x.stride < 2^31.
struct ContractArgs {
  const void* weights = nullptr;
  const float* scales = nullptr;       // int8: [blocks][panels · 32]; else null
  const View* sources = nullptr;       // [terms], in the device's memory
  View near_sources[kNearTerms] = {};  // the first of them
  int terms = 0;
  int depth = 0;    // of a term
  int vectors = 0;  // of a term, the last one perhaps not full
  int panels = 0;   // of a block
  int outputs = 0;  // of a block
  int blocks = 0;
  int groups = 1;
  Activation activation = Activation::kNone;

  int64_t rows = 0;  // of x, y
  DeviceRows x = {};
  int64_t x_width = 0;    // a source index at or past it reads +0
  DeviceRows start = {};  // what chains begin with, by feature; null: zeros
  DeviceRows y = {};
  int64_t y_width = 0;  // a destination index at or past it is dropped
  View destination;

  const float* step_bias = nullptr;  // [blocks · outputs]; null: none. Added in this order
  const float* plan_bias = nullptr;  // by feature; `activation` follows
  DeviceRows residual = {};

  constexpr int64_t row_groups() const { return rows * groups; }
};

}  // namespace dyad::kernels::cuda
