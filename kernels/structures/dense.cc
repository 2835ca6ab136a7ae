// Dense: weight [out, in].
//
//   y[t, o] = Σ_i weight[o, i] · x[t, i] + bias[o]
#include "kernels/structures/structures.h"

namespace dyad::kernels {
namespace {

constexpr std::string_view kLeaves[] = {"weight"};

bool Matches(const Leaves& leaves) {
  return leaves.Has("weight") && !leaves.Has("gates.0.weight") && !leaves.Has("gates.0.bias");
}

Fault Compile(Leaves& leaves, Options&, LayerSize size, Plan& plan) {
  const std::string expected = SizesText({SizeText(size.out, "out"), SizeText(size.in, "in")});
  const Leaf* const weight = leaves.Take("weight", LeafUse::kWeights);
  if (weight == nullptr) return leaves.Missing("weight", expected);
  if (weight->rank() != 2 || weight->elements() == 0 ||
      !size.Fits(weight->shape[1], weight->shape[0])) {
    return WrongShape(*weight, expected);
  }
  plan = DensePlan(weight->shape[1], weight->shape[0], {weight->data, weight->element});
  return TakeBias(leaves, "bias", size, BiasShape::kVector, plan);
}

std::vector<ExampleLeaf> Example(LayerSize size, int64_t) {
  return {{"weight", {size.out, size.in}}};
}

}  // namespace

extern const Structure kDense;
const Structure kDense = {.kind = "dense",
                          .leaves = kLeaves,
                          .network_option = {},
                          .Matches = &Matches,
                          .Compile = &Compile,
                          .Example = &Example};

}  // namespace dyad::kernels
