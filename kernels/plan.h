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
// - A routed step runs only for the rows that chose its item. A row's choice depends on that row
//   alone, so rows of an item may run together in any way.
//
// Bits: a sum is one chain of fused multiply-adds, terms in order and k ascending. It starts at
// what stands in the destination and is rounded to float32 at each step; then the step's bias is
// added. int8: the chain runs over whole numbers from 0, and fma(chain, scale, destination)
// follows. Routed and scaled: the sum starts at 0, takes its bias, and fma(weight, sum,
// destination) follows. After the last step come the plan's bias and the epilogue. A device never
// pads k with zeros of its own: one zero more can turn −0 into +0. kernels/reference/plan.h defines
// the numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/arithmetic.h"
#include "kernels/element.h"
#include "kernels/fault.h"
#include "kernels/float16.h"

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

  constexpr int64_t At(int64_t b, int64_t n, int64_t k) const {
    return b * block + n * output + k * depth;
  }
};

// Element `index` of weights that have data, exact. 0 of int8, whose numbers need their scale.
inline float ValueAt(const Weights& weights, int64_t index) {
  switch (weights.element) {
    case Element::kFloat32:
      return static_cast<const float*>(weights.data)[index];
    case Element::kBfloat16:
      return FromBfloat16(static_cast<const uint16_t*>(weights.data)[index]);
    case Element::kFloat16:
      return FromFloat16(static_cast<const uint16_t*>(weights.data)[index]);
    case Element::kInt8:
      break;
  }
  return 0;
}

struct Term {
  View source;
  Weights weights;
};

// Makes a step run only for rows that chose an item; that of block b is item + b · item_block.
struct Routed {
  int route = -1;  // the Route, by its index among the plan's steps; −1: every row
  int64_t item = 0;
  int64_t item_block = 0;
  // The row's weight for the item multiplies what is added, the step's bias included.
  bool scaled = true;
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
  bool precise = false;         // weights stay float32 whatever the plan's type: gates
  Routed routed;
};

// dst[t, i · width + k] += Σ_j w[k, i, j] · src[t, j · width + k], i < to, j < from, k < width.
// Weights are float32 and stay so.
struct Mix {
  int source = 0;
  int destination = 1;
  int64_t from = 1;
  int64_t to = 1;
  int64_t width = 0;
  Weights weights;  // block: k, output: i, depth: j
};

// Irregular blocks: windows and masks, which have no stride.
struct Range {  // consecutive features
  int64_t first = 0;
  int64_t count = 0;
};
// Outputs [first, first + outputs), each a sum over the features of some ranges, in their order.
struct Place {
  int64_t first = 0;
  int64_t outputs = 0;      // at most kPlaceOutputs
  int64_t first_range = 0;  // of BlockList::ranges
  int64_t ranges = 0;       // at least 1
  int64_t weight = 0;       // of the first feature and output, counted from the weights' data
};
inline constexpr int64_t kPlaceOutputs = 32;
// dst[t, first + n] += Σ_k src[t, feature k of the place] · w[n, k] at Place::weight.
struct BlockList {
  int source = 0;
  int destination = 1;
  std::vector<Place> places;
  std::vector<Range> ranges;
  Weights weights;  // block: without meaning
};

// Every row chooses items by its logits, whose buffer is as wide as there are items. All of it is
// float32; sums over items go through 16 lanes (item mod 16), the unchosen as 0, which are folded
// by 8, 4, 2, 1.
enum class Rule {
  // The `keep` largest, ties to the lower item. e = exp(l − the largest); weight e / Σ e.
  kSoftmax,
  kSoftmaxPlus,  // weight e / Σ e + 1e-6
  // All at or above the keep-th largest: ties keep more. Weight l / (Σ l / items). Where Σ l is 0
  // or not finite, the row chooses nothing, and all of its y is NaN, after the epilogue.
  kShare
};
struct Route {
  int logits = 0;
  Rule rule = Rule::kSoftmax;
  int64_t keep = 1;
};

using Step = std::variant<Contract, Mix, BlockList, Route>;

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

// Which features of its destination, of `width`, a step writes for every row: none if it is routed.
std::vector<bool> WrittenFeatures(const Step& step, int64_t width);

// Features over which the outputs of a place sum.
int64_t DepthOf(const BlockList& step, const Place& place);

// What a device has no kernel for: "lists" and the like; empty: a step of the kind of dense layers.
std::string_view KindOf(const Step& step);
bool IsRouted(const Plan& plan);
// Whether rows that did not choose one item neither write the buffer nor read it: then what they
// have there does not matter, and within the item's rows the buffer is as any other.
bool IsOfOneItem(const Plan& plan, size_t buffer);

// What a contraction of weights of `type` runs in on a device whose arithmetic is exact, of whole
// numbers or bfloat16: the device's, if it is of such weights. Gates and routed steps are exact, as
// mixes and lists are.
constexpr Arithmetic ArithmeticOf(const Contract& step, Element type, Arithmetic device) {
  const bool fits = (IsInteger(device) && type == Element::kInt8) ||
                    (device == Arithmetic::kBfloat16 && type == Element::kBfloat16);
  return fits && !step.precise && step.routed.route < 0 ? device : Arithmetic::kExact;
}

struct PlanCost {
  int64_t parameters = 0;      // weights that the steps read, each once, without biases
  int64_t multiply_adds = 0;   // for a row; of routed steps the share that a row chooses
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
