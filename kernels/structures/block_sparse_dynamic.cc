// Block-wise dynamic sparseness: each row runs the blocks of a dense matrix that its gate keeps,
// each multiplied by its share. weight W [in, out], gates.0.weight G [n, in], gates.0.bias [n]:
//
//   a[t, :] = G x[t, :] + bias of G;  θ(t): the ⌈keep_ratio · n⌉-th largest
//   g[t, j] = a[t, j] · n / Σ of those kept, where a[t, j] ≥ θ(t), else 0
//   y[t, o] = Σ_i x[t, i] · W[i, o] · g[t, block of (i, o)] + bias[o]
//
// Options: `layout`: "tile", blocks of block_size × block_size, in/block_size rows of them; or
// "flat", runs of block_size² consecutive weights; `block_size`, which n tells, too; `keep_ratio`,
// 0.5 where it is missing. Gates stay float32.
#include <algorithm>
#include <cmath>

#include "kernels/structures/structures.h"

namespace dyad::kernels {
namespace {

constexpr std::string_view kGate = "gates.0.weight", kGateBias = "gates.0.bias";
constexpr std::string_view kLeaves[] = {"weight", kGate, kGateBias};
constexpr std::string_view kLayouts[] = {"tile", "flat"};
constexpr int kLogits = 2;  // buffer
constexpr int kRoute = 1;   // step

bool Matches(const Leaves& leaves) { return leaves.Has(kGate) || leaves.Has(kGateBias); }

struct Blocks {
  int64_t size = 0;   // of a side
  int64_t count = 0;  // of blocks
  int64_t keep = 0;
};

// What the options say of them, and whether that fits.
Fault BlocksOf(Options& options, std::string_view layout, const Leaf& weight, const Leaf& gate,
               Blocks& blocks) {
  const int64_t in = weight.shape[0], out = weight.shape[1];
  blocks.count = gate.shape[0];
  const auto side = static_cast<int64_t>(
      std::llround(std::sqrt(static_cast<double>(in * out) / static_cast<double>(blocks.count))));
  const auto wanted = options.WholeNumber("block_size");
  blocks.size = wanted.has_value() ? wanted->value : side;
  const std::string name = wanted.has_value() ? wanted->name : "block_size of " + gate.name;
  const int64_t square = blocks.size * blocks.size;
  const bool divides =
      blocks.size >= 1 && blocks.size <= in * out &&
      (layout == "flat" ? in * out % square == 0 : in % blocks.size == 0 && out % blocks.size == 0);
  if (!divides) {
    return name + " is " + std::to_string(blocks.size) + "; expected " +
           (layout == "flat"
                ? "a number whose square divides " + std::to_string(in * out)
                : "a divisor of " + std::to_string(in) + " and " + std::to_string(out));
  }
  if (blocks.count != in * out / square) {
    return WrongShape(gate, SizesText({std::to_string(in * out / square), std::to_string(in)}));
  }
  const auto ratio = options.Number("keep_ratio");
  const double keep = ratio.has_value() ? ratio->value : 0.5;
  if (!(keep > 0 && keep <= 1)) {
    return ratio->name + " is " + std::to_string(keep) + "; expected (0, 1]";
  }
  blocks.keep = std::clamp<int64_t>(
      static_cast<int64_t>(std::ceil(keep * static_cast<double>(blocks.count))), 1, blocks.count);
  return {};
}

Weights WeightsOf(const Leaf& weight, int64_t first, int64_t block) {
  const Weights all = {.data = weight.data,
                       .elements = weight.elements(),
                       .element = weight.element,
                       .block = block,
                       .output = 1,
                       .depth = weight.shape[1]};
  return From(all, first);
}

// A step for each row of blocks.
void WriteTiles(const Leaf& weight, const Blocks& blocks, Plan& plan) {
  const int64_t in = weight.shape[0], out = weight.shape[1], s = blocks.size;
  for (int64_t row = 0; row < in / s; ++row) {
    Contract tiles;
    tiles.blocks = out / s;
    tiles.depth = s;
    tiles.outputs = s;
    tiles.terms = {{{.offset = row * s}, WeightsOf(weight, row * s * out, s)}};
    tiles.view = {.block = s};
    tiles.routed = {.route = kRoute, .item = row * tiles.blocks, .item_block = 1, .scaled = true};
    plan.steps.emplace_back(std::move(tiles));
  }
}

// A run of weights: what is left of its first row, whole rows, the beginning of a last one.
void WriteRuns(const Leaf& weight, const Blocks& blocks, Plan& plan) {
  const int64_t out = weight.shape[1], length = blocks.size * blocks.size;
  for (int64_t item = 0; item < blocks.count; ++item) {
    for (int64_t at = item * length; at < (item + 1) * length;) {
      const int64_t column = at % out, left = (item + 1) * length - at;
      const bool whole = column == 0 && left >= out;
      Contract run;
      run.depth = whole ? left / out : 1;
      run.outputs = whole ? out : std::min(left, out - column);
      run.terms = {{{.offset = at / out}, WeightsOf(weight, at, 0)}};
      run.view.offset = column;
      run.routed = {.route = kRoute, .item = item, .item_block = 0, .scaled = true};
      at += run.depth * run.outputs;
      plan.steps.emplace_back(std::move(run));
    }
  }
}

Fault TakeTensors(Leaves& leaves, LayerSize size, const Leaf*& weight, const Leaf*& gate,
                  const Leaf*& gate_bias) {
  const std::string of_weight = SizesText({SizeText(size.in, "in"), SizeText(size.out, "out")});
  weight = leaves.Take("weight", LeafUse::kWeights);
  if (weight == nullptr) return leaves.Missing("weight", of_weight);
  if (weight->rank() != 2 || weight->elements() == 0 ||
      !size.Fits(weight->shape[0], weight->shape[1])) {
    return WrongShape(*weight, of_weight);
  }
  const std::string of_gate = SizesText({"blocks", std::to_string(weight->shape[0])});
  gate = leaves.Take(kGate, LeafUse::kFloats);
  if (gate == nullptr) return leaves.Missing(kGate, of_gate);
  if (gate->rank() != 2 || gate->elements() == 0 || gate->shape[1] != weight->shape[0]) {
    return WrongShape(*gate, of_gate);
  }
  const std::vector<int64_t> of_bias = {gate->shape[0]};
  gate_bias = leaves.Take(kGateBias, LeafUse::kFloats);
  if (gate_bias == nullptr) return leaves.Missing(kGateBias, ShapeText(of_bias));
  return gate_bias->shape == of_bias ? Fault() : WrongShape(*gate_bias, ShapeText(of_bias));
}

Fault Compile(Leaves& leaves, Options& options, LayerSize size, Plan& plan) {
  const Leaf *weight = nullptr, *gate = nullptr, *gate_bias = nullptr;
  Fault fault = TakeTensors(leaves, size, weight, gate, gate_bias);
  if (!fault.empty()) return fault;
  const std::string_view layout = options.Word("layout", kLayouts);
  Blocks blocks;
  fault = BlocksOf(options, layout, *weight, *gate, blocks);
  if (!fault.empty()) return fault;
  plan = Plan();
  plan.structure = "block_sparse_dynamic " + std::to_string(blocks.keep) + " of " +
                   std::to_string(blocks.count) + " " + std::string(layout) + " blocks of " +
                   std::to_string(blocks.size) + "x" + std::to_string(blocks.size);
  plan.widths = {weight->shape[0], weight->shape[1], blocks.count};
  Contract gates;
  gates.destination = kLogits;
  gates.depth = weight->shape[0];
  gates.outputs = blocks.count;
  gates.terms = {{.source = {}, .weights = RowMajor(*gate)}};
  gates.precise = true;
  if (gate_bias->data != nullptr) {
    gates.bias = {static_cast<const float*>(gate_bias->data), static_cast<size_t>(blocks.count)};
  }
  plan.steps = {std::move(gates),
                Route{.logits = kLogits, .rule = Rule::kShare, .keep = blocks.keep}};
  if (layout == "flat") {
    WriteRuns(*weight, blocks, plan);
  } else {
    WriteTiles(*weight, blocks, plan);
  }
  return TakeBias(leaves, "bias", size, BiasShape::kVector, plan);
}

// Blocks of `side` × `side`.
std::vector<ExampleLeaf> Example(LayerSize size, int64_t side) {
  const int64_t blocks = size.in / side * (size.out / side);
  return {{"weight", {size.in, size.out}},
          {kGate, {blocks, size.in}, LeafUse::kFloats},
          {kGateBias, {blocks}, LeafUse::kFloats}};
}

}  // namespace

extern const Structure kBlockSparseDynamic;
const Structure kBlockSparseDynamic = {.kind = "block_sparse_dynamic",
                                       .leaves = kLeaves,
                                       .network_option = {},
                                       .Matches = &Matches,
                                       .Compile = &Compile,
                                       .Example = &Example};

}  // namespace dyad::kernels
