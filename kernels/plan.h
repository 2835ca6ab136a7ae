// How a linear layer runs: a plan, which is a short list of steps over named buffers. Devices run
// plans and know no family of layers; kernels/structures compiles the families to plans.
//
// Rules that hold for every plan:
//
// - Every buffer but x is born as zeros, and every step adds. A buffer that is read was written by
//   an earlier step. Steps run in order.
// - Ragged edges: a source index at or past the buffer's width reads +0, which takes part in the
//   sum. A destination index at or past it is dropped.
// - Within one step an output stands in one place only.
//
// Bits: a sum is one chain of fused multiply-adds, terms in order and k ascending. It starts at
// what stands in the destination and is rounded to float32 at each step; then the step's bias is
// added. int8: the chain runs over whole numbers from 0, and fma(chain, scale, destination)
// follows. After the last step come the plan's bias and the epilogue. A device never pads k with
// zeros of its own: one zero more can turn −0 into +0. kernels/reference/plan.h defines the
// numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "kernels/element.h"
#include "kernels/fault.h"

namespace dyad::kernels {

// Feature index of element j of block b and row group u.
struct View {
  int64_t offset = 0;
  int64_t block = 0;
  int64_t group = 0;
  int64_t stride = 1;

  constexpr int64_t At(int64_t b, int64_t u, int64_t j) const {
    return offset + b * block + u * group + j * stride;
  }
  bool operator==(const View&) const = default;
};

// w[b, n, k] = data[b · block + n · output + k · depth], in elements. Host memory, read by those
// who pack only; null while only shapes are checked.
struct Weights {
  const void* data = nullptr;
  int64_t elements = 0;                 // at data; Check refuses indices past them
  Element element = Element::kFloat32;  // not int8, which is made while packing
  int64_t block = 0;
  int64_t output = 0;
  int64_t depth = 1;
};

struct Term {
  View source;
  Weights weights;
};

// dst[t, view(b, u, n)] += Σ_term Σ_{k < depth} src[t, source_term(b, u, k)] · w_term[b, n, k]
//                          + bias[b · outputs + n]
// for every row t, block b, row group u and output n. Groups share the weights.
struct Contract {
  int source = 0;  // buffers
  int destination = 1;
  int64_t blocks = 1;
  int64_t groups = 1;
  int64_t depth = 0;    // of a block and term
  int64_t outputs = 0;  // of a block and group
  std::vector<Term> terms;
  View view;                    // of the destination
  std::span<const float> bias;  // [blocks · outputs] or empty
};

// Later kinds of steps stand here, too: lists of irregular blocks (BlockList), sums over blocks
// with weights (Mix), the choice of items for a row (Route).
using Step = std::variant<Contract>;

struct Plan {
  std::string structure;        // of the layer, for people: "low_rank rank 12"
  std::vector<int64_t> widths;  // of buffers, in floats a row: 0 is x, 1 is y, 2… scratch
  std::vector<Step> steps;
  std::vector<float> bias;           // [out] or empty
  Element type = Element::kFloat32;  // what weights are packed to
  // Tensors made at load, to which weights may point.
  std::vector<std::shared_ptr<const std::vector<float>>> folds;

  int64_t in_features() const { return widths[0]; }
  int64_t out_features() const { return widths[1]; }
};

// Sizes, strides, buffers, places. Whatever is no fault here, a device can run.
Fault Check(const Plan& plan);

// Which features of its destination, of `width`, a step writes.
std::vector<bool> WrittenFeatures(const Contract& step, int64_t width);

struct PlanCost {
  int64_t parameters = 0;      // weights that the steps read, each once, without biases
  int64_t multiply_adds = 0;   // for a row
  int64_t scratch_floats = 0;  // for a row
};
PlanCost Cost(const Plan& plan);

// The plan with one block: y = x Wᵀ + bias, W [out, in] in rows.
struct DenseWeights {
  const void* data = nullptr;
  Element element = Element::kFloat32;
};
Plan DensePlan(int64_t in, int64_t out, const DenseWeights& weights, std::vector<float> bias = {});

}  // namespace dyad::kernels
