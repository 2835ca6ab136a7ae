// BlockDense: a dense matrix behind a block-diagonal one. nb blocks, inner width r,
// blkdiag [nb, r/nb, in/nb], lr [out, r]:
//
//   h[t, b·r/nb + j] = Σ_i blkdiag[b, j, i] · x[t, b·in/nb + i]
//   y[t, o] = Σ_k lr[o, k] · h[t, k] + bias[o]
//
// nb must divide in and r. Of one block it is low-rank.
#include "kernels/structures/structures.h"

namespace dyad::kernels {
namespace {

constexpr std::string_view kLeaves[] = {"blkdiag", "lr"};

bool Matches(const Leaves& leaves) { return leaves.Has("blkdiag") || leaves.Has("lr"); }

Fault Compile(Leaves& leaves, Options&, LayerSize size, Plan& plan) {
  const std::string expected1 =
      SizesText({"blocks", "inner/blocks", SizeText(size.in, "in") + "/blocks"});
  const Leaf* const first = leaves.Take("blkdiag", LeafUse::kWeights);
  if (first == nullptr) return leaves.Missing("blkdiag", expected1);
  if (first->rank() != 3 || first->elements() == 0) return WrongShape(*first, expected1);
  const int64_t blocks = first->shape[0], inner = blocks * first->shape[1];
  const int64_t in = blocks * first->shape[2];
  if (size.in != 0 && in != size.in) return WrongShape(*first, expected1);
  const std::string expected2 = SizesText({SizeText(size.out, "out"), std::to_string(inner)});
  const Leaf* const second = leaves.Take("lr", LeafUse::kWeights);
  if (second == nullptr) return leaves.Missing("lr", expected2);
  if (second->rank() != 2 || second->elements() == 0 || second->shape[1] != inner ||
      !size.Fits(in, second->shape[0])) {
    return WrongShape(*second, expected2);
  }
  plan = Plan();
  plan.structure = "block_dense " + BlocksText(blocks) + " inner " + std::to_string(inner);
  plan.widths = {in, second->shape[0], inner};
  plan.steps = {ProductOf(0, 2, *first), ProductOf(2, 1, *second)};
  return TakeBias(leaves, "bias", size, BiasShape::kVector, plan);
}

// Inner width: as many as the inputs or outputs, whichever is less, rounded down to whole blocks.
std::vector<ExampleLeaf> Example(LayerSize size, int64_t blocks) {
  const int64_t inner = (size.in < size.out ? size.in : size.out) / blocks;
  return {{"blkdiag", {blocks, inner, size.in / blocks}}, {"lr", {size.out, blocks * inner}}};
}

}  // namespace

extern const Structure kBlockDense;
const Structure kBlockDense = {.kind = "block_dense",
                               .leaves = kLeaves,
                               .network_option = {},
                               .Matches = &Matches,
                               .Compile = &Compile,
                               .Example = &Example};

}  // namespace dyad::kernels
