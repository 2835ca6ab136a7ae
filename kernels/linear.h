// Linear layers, dense and structured, as short plans of one primitive: the strided block
// contraction.
//
// A plan is a list of contractions that run in order. One contraction computes, for every row t,
// block b and output n in [0, outputs):
//
//   y[t, dst(b, n)] (= or +=)  Σ_term Σ_{k < depth} x[t, src_term(b, k)] · w_term[b, n, k]
//   view(b, j) = offset + b · block_stride + j · stride
//
// Dense is one block and one term. DYAD-IT is one contraction with two terms (wl plain, wu
// strided); DYAD-OT and DYAD-DT are two contractions, the second accumulating. Formulas: README.md.
//
// Bits: each output is one chain of fused multiply-adds over the terms in order and k ascending,
// started at 0 (or at y when accumulating), rounded to float32 at each step; after the last
// contraction come + bias, the activation, + residual. The chain is the same for every number of
// rows, every thread count and every instruction set. Weights of 16 bits are widened exactly.
// int8: the chain runs over the whole numbers from 0; chain · scale + y (0 when assigning) follows,
// rounded once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/thread_pool.h"

namespace dyad::kernels {

// kInt8: w ≈ scale · q, one scale for each output of a contraction, all its terms together
// (kernels/int8.h).
enum class WeightType { kFloat32, kBfloat16, kFloat16, kInt8 };
int64_t WeightBytes(WeightType type);  // of one element, without scales

enum class Activation { kNone, kRelu, kGelu /* erf */, kGeluTanh };

// Feature index of element j of block b: offset + b · block_stride + j · stride.
struct FeatureView {
  int64_t offset = 0;
  int64_t block_stride = 0;
  int64_t stride = 1;

  bool operator==(const FeatureView&) const = default;
};

// Element w[b, n, k] lies at data[b · block_stride + n · output_stride + k · depth_stride], counted
// in elements of the spec's source type.
struct WeightView {
  const void* data = nullptr;
  int64_t block_stride = 0;
  int64_t output_stride = 0;
  int64_t depth_stride = 1;
};

struct Term {
  FeatureView source;
  WeightView weight;
};

enum class Combine { kAssign, kAccumulate };

struct Contraction {
  int64_t blocks = 1;
  int64_t outputs = 0;      // per block
  int64_t depth = 0;        // per block and term
  std::vector<Term> terms;  // 1 or 2
  FeatureView destination;
  Combine combine = Combine::kAssign;
};

// REQUIRES: the first contraction that touches an output assigns it and every output is touched;
// views stay within in_features and out_features. (Whoever compiles a plan guarantees it.)
struct LinearSpec {
  int64_t in_features = 0;
  int64_t out_features = 0;
  WeightType type = WeightType::kFloat32;  // as packed
  std::vector<Contraction> contractions;
  std::span<const float> bias;  // [out_features] or empty
  // Of int8 only, which is quantised while it is packed: the type of the weights pointed to, any
  // but int8. Weights of the other types point to that type.
  WeightType quantized_from = WeightType::kFloat32;

  WeightType source_type() const { return type == WeightType::kInt8 ? quantized_from : type; }
};

// The plans of structures.md: `wl`, `wu` are [blocks, out/blocks, in/blocks], dense is [out, in],
// row-major.
enum class DyadVariant { kIt, kOt, kDt };
LinearSpec DenseSpec(int64_t in_features, int64_t out_features, WeightType type, const void* weight,
                     std::span<const float> bias);
struct DyadWeights {
  int64_t blocks = 0;
  const void* wl = nullptr;
  const void* wu = nullptr;
};
LinearSpec DyadSpec(int64_t in_features, int64_t out_features, WeightType type, DyadVariant variant,
                    const DyadWeights& weights, std::span<const float> bias);

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

// Weights packed for the micro-kernels; owns its memory, keeps nothing of the spec. Immutable.
class PackedLinear {
 public:
  // Packs on `pool`, or on the calling thread. Cost: one pass over the weights.
  explicit PackedLinear(const LinearSpec& spec, ThreadPool* pool = nullptr);
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
// as one layer after the other; rows are packed once and threads woken once, where every layer is
// dense, or DYAD-IT of the same blocks.
inline constexpr size_t kMostTogether = 3;
void ApplyTogether(int64_t tokens, ConstRows x, std::span<const LinearOutput> outputs,
                   Workspace& workspace);

// Instruction sets that this machine runs, best first; "scalar" is always there.
std::vector<std::string_view> SupportedIsas();
// Forces one for all kernels of the process, before any is used; false if it is unknown or does not
// run here.
bool ForceIsa(std::string_view name);
std::string_view CurrentIsa();

}  // namespace dyad::kernels
