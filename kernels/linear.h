// Linear layers: a plan (kernels/plan.h) packed for the processor, and run over rows.
//
// Bits are the plan's, followed by the activation and + residual. They are the same for every
// number of rows, every thread count and every instruction set.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/isa.h"
#include "kernels/plan.h"
#include "kernels/thread_pool.h"

namespace dyad::kernels {

enum class Activation { kNone, kRelu, kGelu /* erf */, kGeluTanh };

// Rows of a row-major matrix.
struct ConstRows {
  const float* data = nullptr;
  int64_t stride = 0;  // elements from row to row
};
struct Rows {
  float* data = nullptr;
  int64_t stride = 0;
};

struct Epilogue {
  Activation activation = Activation::kNone;
  ConstRows residual;  // added after the activation; data null: none. May be y itself.
};

// Weights packed for the micro-kernels; owns its memory, keeps nothing of the plan. Immutable.
class PackedLinear {
 public:
  // Packs on `pool`, or on the calling thread. Cost: one pass over the weights.
  // REQUIRES: Check(plan) finds no fault; weights have data.
  explicit PackedLinear(const Plan& plan, ThreadPool* pool = nullptr);
  ~PackedLinear();
  PackedLinear(PackedLinear&&) noexcept;
  PackedLinear& operator=(PackedLinear&&) noexcept;

  // y[t, :] = activation(x[t, :] Wᵀ + bias) + residual[t, :]
  // Shapes: x [tokens, in_features], y [tokens, out_features]; they do not overlap (the residual
  // may be y). Allocates nothing in steady state.
  void Apply(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
             Workspace& workspace) const;

  int64_t in_features() const;
  int64_t out_features() const;
  int64_t weight_bytes() const;   // packed, padding and scales included
  int64_t multiply_adds() const;  // per token

  // For the kernels of this folder, which build on the packed form.
  class Impl;
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// One of several layers that read the same rows.
struct LinearOutput {
  const PackedLinear* layer = nullptr;
  Rows y;
};

// y_i[t, :] = x[t, :] W_iᵀ + bias_i for 1 to kMostTogether layers of equal in_features. Same bits
// as one layer after the other; rows are packed once and threads woken once, where every plan is
// one step that writes all of y, and their steps read x alike.
inline constexpr size_t kMostTogether = 3;
void ApplyTogether(int64_t tokens, ConstRows x, std::span<const LinearOutput> outputs,
                   Workspace& workspace);

}  // namespace dyad::kernels
