// BTT-MoE: a block tensor train of rank E whose rank components are experts, of which a row runs
// those that its gate likes most. btt_layer.matrix_params.0 A [γ, α, φ·E], .1 B [φ, γ·E, ε],
// moe_gate.weight G [E, in], in = γ·α, out = φ·ε:
//
//   l[t, :] = G x[t, :];  S(t): the k largest;  w[t, s] = softmax of l over S(t) + 1e-6
//   y[t, (f,e)] = Σ_{s∈S(t)} w[t, s] · Σ_g B[f, g·E+s, e] · Σ_a A[g, a, f·E+s] · x[t, g·α+a] +
//   b[(f,e)]
//
// The cores are capped (rms_cap.h), with matrix_params.2 and .3 as their scales where they are
// there. The bias may be stored twice, as b and as btt_layer.b.
//
// Or a mixture of whole layers, experts.E.matrix_params.* and experts.E.b, each a layer of
// einsum.cc whose shapes tell its sizes, with that family's options `normalized` and `gamma`:
//
//   y[t, :] = Σ_{s∈S(t)} w[t, s] · layer_s(x[t, :]), its bias included;  w: the softmax alone
//
// The option `num_active_experts` is k, 2 where it is missing. The gate stays float32.
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

constexpr std::string_view kExperts = "experts";
constexpr int kLogits = 2;  // buffer
constexpr int kRoute = 1;   // step

bool IsMixture(const Leaves& leaves) { return !leaves.Under(std::string(kExperts)).empty(); }

bool Matches(const Leaves& leaves) { return leaves.Has(kA) || leaves.Has(kB) || IsMixture(leaves); }

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

Fault TakeGate(Leaves& leaves, LayerSize size, const Leaf*& gate) {
  const std::string expected = SizesText({"experts", SizeText(size.in, "in")});
  gate = leaves.Take(kGate, LeafUse::kFloats);
  if (gate == nullptr) return leaves.Missing(kGate, expected);
  const bool fits =
      gate->rank() == 2 && gate->elements() > 0 && size.Fits(gate->shape[1], size.out);
  return fits ? Fault() : WrongShape(*gate, expected);
}

// How many experts a row runs.
Fault KeepOf(Options& options, const Leaf& gate, int64_t& keep) {
  const int64_t experts = gate.shape[0];
  const auto active = options.WholeNumber("num_active_experts");
  keep = active.has_value() ? active->value : std::min<int64_t>(2, experts);
  if (keep >= 1 && keep <= experts) return {};
  return active->name + " is " + std::to_string(keep) + "; expected [1, " +
         std::to_string(experts) + "], the experts of " + gate.name;
}

// The plan's first two steps.
void WriteGate(const Leaf& gate, Rule rule, int64_t keep, Plan& plan) {
  Contract logits;
  logits.destination = kLogits;
  logits.depth = gate.shape[1];
  logits.outputs = gate.shape[0];
  logits.terms = {{.source = {}, .weights = RowMajor(gate)}};
  logits.precise = true;
  plan.widths.push_back(logits.outputs);
  plan.steps = {std::move(logits), Route{.logits = kLogits, .rule = rule, .keep = keep}};
}

Fault TakeTensors(Leaves& leaves, LayerSize size, Tensors& tensors, Sizes& z) {
  const std::string in = SizeText(size.in, "in"), out = SizeText(size.out, "out");
  const Fault fault = TakeGate(leaves, size, tensors.gate);
  if (!fault.empty()) return fault;
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
  WriteGate(*tensors.gate, Rule::kSoftmaxPlus, keep, plan);
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

// A layer's steps, for the rows that choose it: the last one takes its bias, and is scaled.
void AddExpert(Plan layer, int64_t expert, Plan& plan) {
  const auto first_scratch = static_cast<int>(plan.widths.size());
  plan.widths.insert(plan.widths.end(), layer.widths.begin() + 2, layer.widths.end());
  plan.folds.insert(plan.folds.end(), layer.folds.begin(), layer.folds.end());
  for (Step& any : layer.steps) {
    auto& step = std::get<Contract>(any);
    if (step.source > 1) step.source += first_scratch - 2;
    if (step.destination > 1) step.destination += first_scratch - 2;
    const bool last = step.destination == 1;
    step.routed = {.route = kRoute, .item = expert, .item_block = 0, .scaled = last};
    // Outputs of these layers stand in the order of features.
    if (last && !layer.bias.empty()) {
      step.bias = {KeepFold(layer.bias, plan), layer.bias.size()};
    }
    plan.steps.push_back(std::move(any));
  }
}

Fault CompileMixture(Leaves& leaves, Options& options, LayerSize size, Plan& plan) {
  const Leaf* gate = nullptr;
  int64_t keep = 0;
  Fault fault = TakeGate(leaves, size, gate);
  if (fault.empty()) fault = KeepOf(options, *gate, keep);
  if (!fault.empty()) return fault;
  if (const auto expr = options.String("expr")) {
    return expr->name + " is " + Quoted(expr->value) +
           "; expected none, as the shapes of experts tell their sizes";
  }
  plan = Plan();
  size.in = gate->shape[1];
  for (int64_t expert = 0; expert < gate->shape[0]; ++expert) {
    const std::string path = std::string(kExperts) + "." + std::to_string(expert);
    Leaves of_expert = leaves.Under(path);
    Plan layer;
    fault = FindStructure("einsum")->Compile(of_expert, options, size, layer);
    if (!fault.empty()) return fault;
    leaves.TakeUnder(path, of_expert);
    if (expert == 0) {
      size.out = layer.out_features();
      plan.widths = {size.in, size.out};
      plan.structure = "btt_moe " + std::to_string(keep) + " of " + std::to_string(gate->shape[0]) +
                       " layers, the first " + layer.structure;
      WriteGate(*gate, Rule::kSoftmax, keep, plan);
    }
    AddExpert(std::move(layer), expert, plan);
  }
  return {};
}

Fault Compile(Leaves& leaves, Options& options, LayerSize size, Plan& plan) {
  if (IsMixture(leaves)) return CompileMixture(leaves, options, size, plan);
  Tensors tensors;
  Sizes z;
  Fault fault = TakeTensors(leaves, size, tensors, z);
  if (!fault.empty()) return fault;
  int64_t keep = 0;
  fault = KeepOf(options, *tensors.gate, keep);
  if (!fault.empty()) return fault;
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
