// Monarch: two block-diagonal matrices with a shuffle between them and one behind. nb blocks,
// blkdiag1 [nb, q, ⌈in/nb⌉], blkdiag2 [nb, ⌈out/nb⌉, q]:
//
//   h[t, b·q + j] = Σ_i blkdiag1[b, j, i] · x[t, b·⌈in/nb⌉ + i]
//   y[t, o·nb + b] = Σ_j blkdiag2[b, o, j] · h[t, j·nb + b] + bias[o·nb + b]
//
// Inputs past the end of x are zeros; outputs past the end of y are dropped.
#include "kernels/structures/structures.h"

namespace dyad::kernels {
namespace {

constexpr std::string_view kLeaves[] = {"blkdiag1", "blkdiag2"};

bool Matches(const Leaves& leaves) { return leaves.Has("blkdiag1") || leaves.Has("blkdiag2"); }

int64_t RoundUp(int64_t size, int64_t blocks) { return (size + blocks - 1) / blocks; }

Fault Compile(Leaves& leaves, Options&, LayerSize size, Plan& plan) {
  const std::string expected1 =
      SizesText({"blocks", "inner/blocks", SizeText(size.in, "in") + "/blocks rounded up"});
  const Leaf* const first = leaves.Take("blkdiag1", LeafUse::kWeights);
  if (first == nullptr) return leaves.Missing("blkdiag1", expected1);
  if (first->rank() != 3 || first->elements() == 0) return WrongShape(*first, expected1);
  const int64_t blocks = first->shape[0], inner = first->shape[1];
  if (size.in != 0 && first->shape[2] != RoundUp(size.in, blocks)) {
    return WrongShape(*first, expected1);
  }
  const std::string expected2 = SizesText(
      {std::to_string(blocks), SizeText(RoundUp(size.out, blocks), "out/blocks rounded up"),
       std::to_string(inner)});
  const Leaf* const second = leaves.Take("blkdiag2", LeafUse::kWeights);
  if (second == nullptr) return leaves.Missing("blkdiag2", expected2);
  if (second->rank() != 3 || second->elements() == 0 || second->shape[0] != blocks ||
      second->shape[2] != inner ||
      (size.out != 0 && second->shape[1] != RoundUp(size.out, blocks))) {
    return WrongShape(*second, expected2);
  }
  plan = Plan();
  plan.structure = "monarch " + BlocksText(blocks) + " inner " + std::to_string(blocks * inner);
  plan.widths = {size.in != 0 ? size.in : blocks * first->shape[2],
                 size.out != 0 ? size.out : blocks * second->shape[1], blocks * inner};
  Contract out_blocks = ProductOf(2, 1, *second);
  out_blocks.terms[0].source = {.block = 1, .stride = blocks};
  out_blocks.view = {.block = 1, .stride = blocks};
  plan.steps = {ProductOf(0, 2, *first), std::move(out_blocks)};
  return TakeBias(leaves, "bias", size, BiasShape::kVector, plan);
}

// Inner width: as many as a block has of inputs or outputs, whichever is less.
std::vector<ExampleLeaf> Example(LayerSize size, int64_t blocks) {
  const int64_t in = RoundUp(size.in, blocks), out = RoundUp(size.out, blocks);
  const int64_t inner = in < out ? in : out;
  return {{"blkdiag1", {blocks, inner, in}}, {"blkdiag2", {blocks, out, inner}}};
}

}  // namespace

extern const Structure kMonarch;
const Structure kMonarch = {.kind = "monarch",
                            .leaves = kLeaves,
                            .network_option = {},
                            .Matches = &Matches,
                            .Compile = &Compile,
                            .Example = &Example};

}  // namespace dyad::kernels
