// BTT-MoE: a block tensor train of rank E whose rank components are experts, of which a row runs
// those that its gate likes most. btt_layer.matrix_params.0 A [γ, α, φ·E], .1 B [φ, γ·E, ε],
// moe_gate.weight G [E, in], in = γ·α, out = φ·ε:
//
//   l[t, :] = G x[t, :];  S(t): the k largest;  w[t, s] = softmax of l over S(t) + 1e-6
//   y[t, (f,e)] = Σ_{s∈S(t)} w[t, s] · Σ_g B[f, g·E+s, e] · Σ_a A[g, a, f·E+s] · x[t, g·α+a] +
//   b[(f,e)]
//
// The cores are capped (rms_cap.h), with matrix_params.2 and .3 as their scales where they are
// there. The option `num_active_experts` is k, 2 where it is missing. The bias may be stored twice,
// as b and as btt_layer.b. The gate stays float32.
#include <algorithm>

#include "kernels/structures/rms_cap.h"
#include "kernels/structures/structures.h"

namespace dyad::kernels {
namespace {

constexpr std::string_view kA = "btt_layer.matrix_params.0", kB = "btt_layer.matrix_params.1";
constexpr std::string_view kGammaA = "btt_layer.matrix_params.2";
constexpr std::string_view kGammaB = "btt_layer.matrix_params.3";
constexpr std::string_view kGate = "moe_gate.weight", kInnerBias = "btt_layer.b";
constexpr std::string_view kLeaves[] = {kA, kB, kGate};

bool Matches(const Leaves& leaves) { return leaves.Has(kA) || leaves.Has(kB); }

struct Sizes {
  int64_t alpha = 0, gamma = 0, epsilon = 0, phi = 0, experts = 0;
};

struct Tensors {
  const Leaf* a = nullptr;
  const Leaf* b = nullptr;
  const Leaf* gate = nullptr;
  const Leaf* gamma_a = nullptr;  // null: none
  const Leaf* gamma_b = nullptr;
};

Fault TakeTensors(Leaves& leaves, LayerSize size, Tensors& tensors, Sizes& z) {
  const std::string in = SizeText(size.in, "in"), out = SizeText(size.out, "out");
  tensors.gate = leaves.Take(kGate, LeafUse::kFloats);
  if (tensors.gate == nullptr) return leaves.Missing(kGate, SizesText({"experts", in}));
  if (tensors.gate->rank() != 2 || tensors.gate->elements() == 0 ||
      !size.Fits(tensors.gate->shape[1], size.out)) {
    return WrongShape(*tensors.gate, SizesText({"experts", in}));
  }
  z.experts = tensors.gate->shape[0];
  const std::string experts = std::to_string(z.experts);
  const std::string of_a = "[γ, α, φ·" + experts + "], γ·α = " + in;
  tensors.a = leaves.Take(kA, LeafUse::kWeights);
  if (tensors.a == nullptr) return leaves.Missing(kA, of_a);
  const std::vector<int64_t>& a = tensors.a->shape;
  if (a.size() != 3 || tensors.a->elements() == 0 || a[0] * a[1] != tensors.gate->shape[1] ||
      a[2] % z.experts != 0) {
    return WrongShape(*tensors.a, of_a);
  }
  z.gamma = a[0];
  z.alpha = a[1];
  z.phi = a[2] / z.experts;
  const std::string of_b = SizesText({std::to_string(z.phi), std::to_string(z.gamma * z.experts),
                                      out + "/" + std::to_string(z.phi)});
  tensors.b = leaves.Take(kB, LeafUse::kWeights);
  if (tensors.b == nullptr) return leaves.Missing(kB, of_b);
  const std::vector<int64_t>& b = tensors.b->shape;
  if (b.size() != 3 || tensors.b->elements() == 0 || b[0] != z.phi || b[1] != z.gamma * z.experts ||
      !size.Fits(size.in, z.phi * b[2])) {
    return WrongShape(*tensors.b, of_b);
  }
  z.epsilon = b[2];
  if (!leaves.Has(kGammaA) && !leaves.Has(kGammaB)) return {};
  for (const auto& [name, gamma] :
       {std::pair{kGammaA, &tensors.gamma_a}, {kGammaB, &tensors.gamma_b}}) {
    *gamma = leaves.Take(name, LeafUse::kFloats);
    if (*gamma == nullptr) return leaves.Missing(name, "[]");
    if ((*gamma)->elements() != 1) return WrongShape(**gamma, "[]");
  }
  return {};
}

// Both copies of the bias, of which one will do.
Fault TakeBiases(Leaves& leaves, LayerSize size, Plan& plan) {
  if (size.bias == Bias::kNone) return {};
  if (!leaves.Has("b") && leaves.Has(kInnerBias)) {
    return TakeBias(leaves, kInnerBias, size, BiasShape::kVector, plan);
  }
  Fault fault = TakeBias(leaves, "b", size, BiasShape::kVector, plan);
  if (!fault.empty() || !leaves.Has(kInnerBias)) return fault;
  const std::vector<float> bias = plan.bias;
  fault = TakeBias(leaves, kInnerBias, size, BiasShape::kVector, plan);
  if (!fault.empty() || bias == plan.bias) return fault;
  return leaves.at(kInnerBias).name + " differs from " + leaves.at("b").name +
         "; expected the same values";
}

// Core weights of expert 0; those of the others are `e` elements or rows further on.
Weights CoreOf(const Leaf& leaf, const RmsCap& cap, const Leaf* gamma, Plan& plan) {
  Weights weights = {.data = leaf.data, .elements = leaf.elements(), .element = leaf.element};
  if (leaf.data != nullptr) {
    weights.data = KeepFold(Capped(leaf, cap, gamma), plan);
    weights.element = Element::kFloat32;
  }
  return weights;
}

void WriteSteps(const Tensors& tensors, const Sizes& z, int64_t keep, Plan& plan) {
  constexpr int kLogits = 2;
  constexpr int kRoute = 1;  // step
  Contract gate;
  gate.destination = kLogits;
  gate.depth = z.gamma * z.alpha;
  gate.outputs = z.experts;
  gate.terms = {{.source = {}, .weights = RowMajor(*tensors.gate)}};
  gate.precise = true;
  plan.widths.push_back(z.experts);
  plan.steps = {std::move(gate),
                Route{.logits = kLogits, .rule = Rule::kSoftmaxPlus, .keep = keep}};
  Weights a = CoreOf(*tensors.a, {z.alpha, z.phi, 1e-8}, tensors.gamma_a, plan);
  Weights b = CoreOf(*tensors.b, {z.gamma, z.epsilon, 1e-8}, tensors.gamma_b, plan);
  a.block = z.alpha * z.phi * z.experts;
  a.output = z.experts;
  a.depth = z.phi * z.experts;
  b.block = z.gamma * z.experts * z.epsilon;
  b.output = 1;
  b.depth = z.experts * z.epsilon;
  for (int64_t expert = 0; expert < z.experts; ++expert) {
    const auto inner = static_cast<int>(plan.widths.size());
    plan.widths.push_back(z.phi * z.gamma);
    Contract in, out;
    in.destination = inner;
    in.blocks = z.gamma;
    in.depth = z.alpha;
    in.outputs = z.phi;
    in.terms = {{{.block = z.alpha}, From(a, expert)}};
    in.view = {.block = z.phi};
    in.routed = {.route = kRoute, .item = expert, .item_block = 0, .scaled = false};
    out.source = inner;
    out.blocks = z.phi;
    out.depth = z.gamma;
    out.outputs = z.epsilon;
    out.terms = {{{.block = 1, .stride = z.phi}, From(b, expert * z.epsilon)}};
    out.view = {.block = z.epsilon};
    out.routed = {.route = kRoute, .item = expert, .item_block = 0, .scaled = true};
    plan.steps.emplace_back(std::move(in));
    plan.steps.emplace_back(std::move(out));
  }
}

Fault Compile(Leaves& leaves, Options& options, LayerSize size, Plan& plan) {
  Tensors tensors;
  Sizes z;
  Fault fault = TakeTensors(leaves, size, tensors, z);
  if (!fault.empty()) return fault;
  const auto active = options.WholeNumber("num_active_experts");
  const int64_t keep = active.has_value() ? active->value : std::min<int64_t>(2, z.experts);
  if (keep < 1 || keep > z.experts) {
    return active->name + " is " + std::to_string(keep) + "; expected [1, " +
           std::to_string(z.experts) + "], the experts of " + tensors.gate->name;
  }
  plan = Plan();
  plan.structure = "btt_moe " + std::to_string(keep) + " of " + std::to_string(z.experts) +
                   " experts in " + std::to_string(z.alpha) + "x" + std::to_string(z.gamma) +
                   " out " + std::to_string(z.epsilon) + "x" + std::to_string(z.phi);
  plan.widths = {z.gamma * z.alpha, z.phi * z.epsilon};
  WriteSteps(tensors, z, keep, plan);
  return TakeBiases(leaves, size, plan);
}

// `experts` of them, of 4 blocks in and out.
std::vector<ExampleLeaf> Example(LayerSize size, int64_t experts) {
  constexpr int64_t kBlocks = 4;
  return {{kA, {kBlocks, size.in / kBlocks, kBlocks * experts}},
          {kB, {kBlocks, kBlocks * experts, size.out / kBlocks}},
          {kGate, {experts, size.in}, LeafUse::kFloats}};
}

}  // namespace

extern const Structure kBttMoe;
const Structure kBttMoe = {.kind = "btt_moe",
                           .leaves = kLeaves,
                           .network_option = {},
                           .bias = "b",
                           .Matches = &Matches,
                           .Compile = &Compile,
                           .Example = &Example};

}  // namespace dyad::kernels
