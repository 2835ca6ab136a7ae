// BLAST: b1 × b2 blocks B_i · diag(D_ij) · C_j of one rank r. B [b1, out/b1, r], C [b2, r, in/b2],
// D [b1, b2, r]:
//
//   h[t, j, k] = Σ_c C[j, k, c] · x[t, j·in/b2 + c]
//   z[t, i, k] = Σ_j D[i, j, k] · h[t, j, k]
//   y[t, i·out/b1 + a] = Σ_k B[i, a, k] · z[t, i, k] + bias[i·out/b1 + a]
//
// D may be [r, b1, b2], as decompositions write it. D stays float32: the range of the weights is in
// it. Numbers of blocks and ranks in configurations are not believed, only tensors are.
#include "kernels/structures/structures.h"

namespace dyad::kernels {
namespace {

constexpr std::string_view kLeaves[] = {"B", "C", "D"};

bool Matches(const Leaves& leaves) { return leaves.Has("B") || leaves.Has("C") || leaves.Has("D"); }

struct Sizes {
  int64_t b1, p, b2, q, rank;
};

// Element (i, j, k) of D.
Fault MixOf(const Leaf& d, const Sizes& s, Mix& mix) {
  const std::vector<int64_t> model = {s.b1, s.b2, s.rank}, decomposed = {s.rank, s.b1, s.b2};
  mix = {.source = 2, .destination = 3, .from = s.b2, .to = s.b1, .width = s.rank, .weights = {}};
  mix.weights = {.data = d.data, .elements = d.elements(), .element = d.element};
  if (d.shape == model) {
    mix.weights.block = 1;
    mix.weights.output = s.b2 * s.rank;
    mix.weights.depth = s.rank;
  } else if (d.shape == decomposed) {
    mix.weights.block = s.b1 * s.b2;
    mix.weights.output = s.b2;
    mix.weights.depth = 1;
  } else {
    return WrongShape(d, ShapeText(model) + " or " + ShapeText(decomposed));
  }
  return {};
}

Fault Compile(Leaves& leaves, Options&, LayerSize size, Plan& plan) {
  const std::string of_b = SizesText({"b1", SizeText(size.out, "out") + "/b1", "rank"});
  const Leaf* const b = leaves.Take("B", LeafUse::kWeights);
  if (b == nullptr) return leaves.Missing("B", of_b);
  if (b->rank() != 3 || b->elements() == 0 || !size.Fits(size.in, b->shape[0] * b->shape[1])) {
    return WrongShape(*b, of_b);
  }
  const int64_t rank = b->shape[2];
  const std::string of_c = SizesText({"b2", std::to_string(rank), SizeText(size.in, "in") + "/b2"});
  const Leaf* const c = leaves.Take("C", LeafUse::kWeights);
  if (c == nullptr) return leaves.Missing("C", of_c);
  if (c->rank() != 3 || c->elements() == 0 || c->shape[1] != rank ||
      !size.Fits(c->shape[0] * c->shape[2], size.out)) {
    return WrongShape(*c, of_c);
  }
  const Sizes sizes = {b->shape[0], b->shape[1], c->shape[0], c->shape[2], rank};
  const Leaf* const d = leaves.Take("D", LeafUse::kFloats);
  if (d == nullptr) return leaves.Missing("D", ShapeText(std::vector{sizes.b1, sizes.b2, rank}));
  Mix mix;
  const Fault fault = MixOf(*d, sizes, mix);
  if (!fault.empty()) return fault;
  plan = Plan();
  plan.structure = "blast " + std::to_string(sizes.b1) + "x" + std::to_string(sizes.b2) + " rank " +
                   std::to_string(rank);
  plan.widths = {sizes.b2 * sizes.q, sizes.b1 * sizes.p, sizes.b2 * rank, sizes.b1 * rank};
  plan.steps = {ProductOf(0, 2, *c), std::move(mix), ProductOf(3, 1, *b)};
  return TakeBias(leaves, "bias", size, BiasShape::kVector, plan);
}

// Half the parameters of a dense layer, by `blocks` in both directions.
std::vector<ExampleLeaf> Example(LayerSize size, int64_t blocks) {
  const int64_t rank =
      std::max<int64_t>(1, size.in * size.out / 2 / (size.in + size.out + blocks * blocks));
  return {{"B", {blocks, size.out / blocks, rank}},
          {"C", {blocks, rank, size.in / blocks}},
          {"D", {blocks, blocks, rank}, LeafUse::kFloats}};
}

}  // namespace

extern const Structure kBlast;
const Structure kBlast = {.kind = "blast",
                          .leaves = kLeaves,
                          .network_option = {},
                          .Matches = &Matches,
                          .Compile = &Compile,
                          .Example = &Example};

}  // namespace dyad::kernels
