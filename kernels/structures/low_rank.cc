// Low-rank: y = U (V x) + bias, V [r, in], U [out, r].
//
//   h[t, j] = Σ_i V[j, i] · x[t, i];   y[t, o] = Σ_j U[o, j] · h[t, j] + bias[o]
//
// Files have several names for the two factors. Where letters could stand for either factor, shapes
// decide which is first. The option `rank`, where it is there, must agree with the tensors.
#include <array>

#include "kernels/structures/structures.h"

namespace dyad::kernels {
namespace {

// One scheme of names.
struct Names {
  std::string_view first, second, bias;
};
constexpr std::array<Names, 5> kNames = {{
    {"lr_weight1", "lr_weight2", "bias"},
    {"first.weight", "second.weight", "second.bias"},
    {"BLinear.weight", "ALinear.weight", "ALinear.bias"},
    {"mod_a.weight", "mod_b.weight", "bias"},
    {"lr1", "lr2", "bias"},
}};
constexpr std::string_view kLeaves[] = {kNames[0].first, kNames[0].second};

const Names* NamesIn(const Leaves& leaves) {
  if (leaves.Has("widths")) return nullptr;  // of a family that windows its factors
  for (const Names& names : kNames) {
    if (leaves.Has(names.first) || leaves.Has(names.second)) return &names;
  }
  return nullptr;
}

bool Matches(const Leaves& leaves) { return NamesIn(leaves) != nullptr; }

// V is [r, in] and U is [out, r].
bool Fits(const Leaf& v, const Leaf& u, LayerSize size) {
  return v.rank() == 2 && u.rank() == 2 && v.elements() > 0 && u.elements() > 0 &&
         v.shape[0] == u.shape[1] && size.Fits(v.shape[1], u.shape[0]);
}

Fault Compile(Leaves& leaves, Options& options, LayerSize size, Plan& plan) {
  const Names* const found = NamesIn(leaves);
  const Names& names = found == nullptr ? kNames.front() : *found;
  const std::string in = SizeText(size.in, "in"), out = SizeText(size.out, "out");
  const Leaf* v = leaves.Take(names.first, LeafUse::kWeights);
  if (v == nullptr) return leaves.Missing(names.first, SizesText({"rank", in}));
  const Leaf* u = leaves.Take(names.second, LeafUse::kWeights);
  if (u == nullptr) return leaves.Missing(names.second, SizesText({out, "rank"}));
  std::string_view bias = names.bias;
  if (names.first == "BLinear.weight" && !Fits(*v, *u, size) && Fits(*u, *v, size)) {
    std::swap(v, u);
    bias = "BLinear.bias";
  }
  if (!Fits(*v, *u, size)) {
    const bool first =
        v->rank() != 2 || v->elements() == 0 || (size.in != 0 && v->shape[1] != size.in);
    return first ? WrongShape(*v, SizesText({"rank", in}))
                 : WrongShape(*u, SizesText({out, std::to_string(v->shape[0])}));
  }
  const int64_t rank = v->shape[0];
  const auto wanted = options.WholeNumber("rank");
  if (wanted.has_value() && wanted->value != rank) {
    return wanted->name + " is " + std::to_string(wanted->value) + ", but " + v->name +
           " has rank " + std::to_string(rank);
  }
  plan = Plan();
  plan.structure = "low_rank rank " + std::to_string(rank);
  plan.widths = {v->shape[1], u->shape[0], rank};
  plan.steps = {ProductOf(0, 2, *v), ProductOf(2, 1, *u)};
  return TakeBias(leaves, bias, size, BiasShape::kVector, plan);
}

std::vector<ExampleLeaf> Example(LayerSize size, int64_t rank) {
  return {{kLeaves[0], {rank, size.in}}, {kLeaves[1], {size.out, rank}}};
}

}  // namespace

extern const Structure kLowRank;
const Structure kLowRank = {.kind = "low_rank",
                            .leaves = kLeaves,
                            .network_option = {},
                            .Matches = &Matches,
                            .Compile = &Compile,
                            .Example = &Example};

}  // namespace dyad::kernels
