// DYAD: two block-diagonal matrices, the second behind a permutation of its inputs, of its outputs,
// or of both. wl, wu [D, out/D, in/D]; o and i count within block d:
//
//   it  y[t, d·out/D + o]  = Σ_i wl[d, o, i] · x[t, d·in/D + i] + Σ_i wu[d, o, i] · x[t, i·D + d] +
//   bias ot  y[t, d·out/D + o] += Σ_i wl[d, o, i] · x[t, d·in/D + i]
//       y[t, o·D + d]     += Σ_i wu[d, o, i] · x[t, d·in/D + i]                                  +
//       bias
//   dt  y[t, d·out/D + o] += Σ_i wl[d, o, i] · x[t, d·in/D + i]
//       y[t, o·D + d]     += Σ_i wu[d, o, i] · x[t, i·D + d]                                     +
//       bias
//
// Tensors do not tell the variants apart: the option `variant` does, "it" where it is missing.
#include "kernels/structures/structures.h"

namespace dyad::kernels {
namespace {

constexpr std::string_view kLeaves[] = {"wl", "wu"};
constexpr std::string_view kVariants[] = {"it", "ot", "dt"};

bool Matches(const Leaves& leaves) { return leaves.Has("wl") || leaves.Has("wu"); }

// wl decides the number of blocks; the network's option must agree.
Fault CheckBlocks(const Leaf& wl, Options& options, LayerSize size) {
  const std::string expected = SizesText(
      {"blocks", SizeText(size.out, "out") + "/blocks", SizeText(size.in, "in") + "/blocks"});
  if (wl.rank() != 3 || wl.elements() == 0) return WrongShape(wl, expected);
  const int64_t blocks = wl.shape[0];
  if (size.in % blocks != 0 || size.out % blocks != 0) {
    return WrongShape(wl, expected + ", and " + std::to_string(blocks) + " does not divide both");
  }
  const auto wanted = options.WholeNumber("dyad_dim");
  if (wanted.has_value() && wanted->value != blocks) {
    return wanted->name + " is " + std::to_string(wanted->value) + ", but " + wl.name + " has " +
           std::to_string(blocks) + " blocks";
  }
  if (size.Fits(blocks * wl.shape[2], blocks * wl.shape[1])) return {};
  return WrongShape(wl,
                    ShapeText(std::vector<int64_t>{blocks, size.out / blocks, size.in / blocks}));
}

void WriteSteps(const Leaf& wl, const Leaf& wu, std::string_view variant, Plan& plan) {
  const int64_t blocks = wl.shape[0];
  Contract contract;
  contract.blocks = blocks;
  contract.outputs = wl.shape[1];
  contract.depth = wl.shape[2];
  const View plain_in = {.block = contract.depth};
  const View plain_out = {.block = contract.outputs};
  const View strided = {.block = 1, .stride = blocks};
  const Term near = {plain_in, RowMajor(wl)};
  const Term far = {variant == "ot" ? plain_in : strided, RowMajor(wu)};
  contract.view = plain_out;
  if (variant == "it") {
    contract.terms = {near, far};
    plan.steps = {contract};
    return;
  }
  contract.terms = {near};
  plan.steps = {contract};
  contract.terms = {far};
  contract.view = strided;
  plan.steps.emplace_back(contract);
}

Fault Compile(Leaves& leaves, Options& options, LayerSize size, Plan& plan) {
  const Leaf* const wl = leaves.Take("wl", LeafUse::kWeights);
  if (wl == nullptr) {
    return leaves.Missing("wl", "[blocks, out/blocks, in/blocks], beside that of wu");
  }
  Fault fault = CheckBlocks(*wl, options, size);
  if (!fault.empty()) return fault;
  const Leaf* const wu = leaves.Take("wu", LeafUse::kWeights);
  if (wu == nullptr) return leaves.Missing("wu", ShapeText(wl->shape));
  if (wu->shape != wl->shape) return WrongShape(*wu, ShapeText(wl->shape));
  const std::string_view variant = options.Word("variant", kVariants);
  const int64_t blocks = wl->shape[0];
  plan = Plan();
  plan.structure = "dyad " + std::string(variant) + " " + BlocksText(blocks);
  plan.widths = {blocks * wl->shape[2], blocks * wl->shape[1]};
  WriteSteps(*wl, *wu, variant, plan);
  return TakeBias(leaves, "bias", size, BiasShape::kColumn, plan);
}

std::vector<ExampleLeaf> Example(LayerSize size, int64_t blocks) {
  const std::vector<int64_t> shape = {blocks, size.out / blocks, size.in / blocks};
  return {{"wl", shape}, {"wu", shape}};
}

}  // namespace

extern const Structure kDyad;
const Structure kDyad = {.kind = "dyad",
                         .leaves = kLeaves,
                         .network_option = "dyad_dim",
                         .Matches = &Matches,
                         .Compile = &Compile,
                         .Example = &Example};

}  // namespace dyad::kernels
