// Einsum: the layers of einsum-search, a contraction of x with two cores. Inputs are numbered
// i = (g·β + b)·α + a, outputs o = (f·ε + e)·δ + d, and s counts the rank:
//
//   y[t, (f,e,d)] = Σ_{g,b,s} B[f,e,s,g,b] · Σ_a A[f,d,s,g,a] · x[t, (g,b,a)] + b[(f,e,d)]
//
// Low-rank, Kronecker, tensor trains (TT), Monarch and block tensor trains (BTT) are such layers.
// matrix_params.0 is A, .1 is B: where β = δ = 1, A [γ, α, φ·ρ] and B [φ, γ·ρ, ε], whose shapes
// tell all sizes; else A [φ, δ, ρ, γ, α] and B [φ, ε, ρ, γ, β] without their sizes of 1. A layer of
// matrix_params.0 [in, out] alone is dense.
//
// Options: `expr`, "(α|β|γ|δ|ε|φ|ρ)", exponents of in, of out and of the lesser one, gives the
// sizes; `normalized`: the cores are capped (rms_cap.h); `gamma`: matrix_params.2 and .3 scale
// them. αβγ may differ from in: inputs past the end are zeros, what is left over is not read. δεφ
// may differ from out: outputs past the end are dropped, those that are missing are zeros, bias
// too.
#include <array>
#include <charconv>
#include <cmath>

#include "kernels/structures/rms_cap.h"
#include "kernels/structures/structures.h"

namespace dyad::kernels {
namespace {

constexpr std::string_view kA = "matrix_params.0", kB = "matrix_params.1";
constexpr std::string_view kGammaA = "matrix_params.2", kGammaB = "matrix_params.3";
constexpr std::string_view kLeaves[] = {kA, kB};

using Shape = std::vector<int64_t>;

bool Matches(const Leaves& leaves) { return leaves.Has(kA) || leaves.Has(kB); }

struct Sizes {
  int64_t alpha = 1, beta = 1, gamma = 1, delta = 1, epsilon = 1, phi = 1, rho = 1;

  int64_t in() const { return alpha * beta * gamma; }
  int64_t out() const { return delta * epsilon * phi; }
  bool btt() const { return beta == 1 && delta == 1; }
};

std::string Squeezed(Shape shape) {
  std::erase(shape, 1);
  return ShapeText(shape);
}
std::string ShapeOfA(const Sizes& s) {
  if (s.btt()) return ShapeText(Shape{s.gamma, s.alpha, s.phi * s.rho});
  return Squeezed({s.phi, s.delta, s.rho, s.gamma, s.alpha});
}
std::string ShapeOfB(const Sizes& s) {
  if (s.btt()) return ShapeText(Shape{s.phi, s.gamma * s.rho, s.epsilon});
  return Squeezed({s.phi, s.epsilon, s.rho, s.gamma, s.beta});
}

// "(0.5|0|0.5|0|0.5|0.5|0)"
Fault ParseExpr(const Options::Named<std::string>& expr, std::array<double, 7>& exponents) {
  const std::string_view text = expr.value;
  const Fault fault =
      expr.name + " is " + Quoted(text) + "; expected 7 exponents in [0, 1], \"(α|β|γ|δ|ε|φ|ρ)\"";
  if (text.size() < 2 || text.front() != '(' || text.back() != ')') return fault;
  const char* at = text.data() + 1;
  const char* const end = text.data() + text.size() - 1;
  for (size_t i = 0; i < exponents.size(); ++i) {
    const auto [rest, error] = std::from_chars(at, end, exponents[i]);
    if (error != std::errc() || !(exponents[i] >= 0 && exponents[i] <= 1)) return fault;
    if (i + 1 < exponents.size() ? rest == end || *rest != '|' : rest != end) return fault;
    at = rest + 1;
  }
  for (const auto& [what, sum] :
       {std::pair{"α, β and γ", exponents[0] + exponents[1] + exponents[2]},
        {"δ, ε and φ", exponents[3] + exponents[4] + exponents[5]}}) {
    if (std::abs(sum - 1) <= 0.01) continue;
    return expr.name + " is " + Quoted(text) + ": " + what + " add up to " + std::to_string(sum) +
           "; expected 1";
  }
  return {};
}

Fault SizesOfExpr(const Options::Named<std::string>& expr, LayerSize size, Sizes& sizes) {
  std::array<double, 7> exponents = {};
  Fault fault = ParseExpr(expr, exponents);
  if (!fault.empty()) return fault;
  const auto power = [&](int64_t of, size_t i) {
    return static_cast<int64_t>(
        std::nearbyint(std::pow(static_cast<double>(of), exponents[i])));  // ties to even
  };
  sizes = {power(size.in, 0),
           power(size.in, 1),
           power(size.in, 2),
           power(size.out, 3),
           power(size.out, 4),
           power(size.out, 5),
           power(std::min(size.in, size.out), 6)};
  for (const auto& [what, found, wanted] :
       {std::tuple{"inputs", sizes.in(), size.in}, {"outputs", sizes.out(), size.out}}) {
    const auto off = static_cast<double>(std::abs(found - wanted));
    if (off <= 0.15 * static_cast<double>(wanted)) continue;
    return expr.name + " is " + Quoted(expr.value) + ", which makes " + std::to_string(found) +
           " " + what + "; expected " + std::to_string(wanted) + " or at most 15 % off";
  }
  return {};
}

// Of a block tensor train, from its shapes.
Fault SizesOfShapes(const Leaf& a, const Leaf& b, LayerSize size, Sizes& sizes) {
  const std::string expected = "[γ, α, φ·ρ], or the option expr";
  if (a.rank() != 3 || a.elements() == 0) return WrongShape(a, expected);
  sizes = {.alpha = a.shape[1], .gamma = a.shape[0]};
  if (b.rank() != 3 || b.elements() == 0 || b.shape[1] % sizes.gamma != 0 ||
      a.shape[2] % b.shape[0] != 0 || a.shape[2] / b.shape[0] != b.shape[1] / sizes.gamma) {
    return WrongShape(b, "[φ, γ·ρ, ε], where " + a.name + " is [γ, α, φ·ρ] " + ShapeText(a.shape));
  }
  sizes.epsilon = b.shape[2];
  sizes.phi = b.shape[0];
  sizes.rho = b.shape[1] / sizes.gamma;
  if (size.Fits(sizes.in(), sizes.out())) return {};
  return WrongShape(a, "γ·α = " + SizeText(size.in, "in") +
                           " and φ·ε = " + SizeText(size.out, "out") + " of " + b.name);
}

// A core, capped and scaled if it is.
struct Core {
  const Leaf* leaf = nullptr;
  const float* fold = nullptr;

  // Of the core, from element 0 on.
  Weights Of(int64_t block, int64_t output, int64_t depth) const {
    Weights weights = {.data = leaf->data,
                       .elements = leaf->elements(),
                       .element = leaf->element,
                       .block = block,
                       .output = output,
                       .depth = depth};
    if (fold != nullptr) {
      weights.data = fold;
      weights.element = Element::kFloat32;
    }
    return weights;
  }
};

Contract Product(int source, int destination) {
  Contract product;
  product.source = source;
  product.destination = destination;
  return product;
}

// ρ terms, `offset` apart in the weights; one, where each is of depth 1.
void AddTerms(const View& source, const Weights& weights, int64_t offset, int64_t rho,
              Contract& step) {
  if (step.depth == 1) {
    step.depth = rho;
    View merged = source;
    merged.stride = 1;
    Weights all = weights;
    all.depth = offset;
    step.terms = {{merged, all}};
    return;
  }
  for (int64_t s = 0; s < rho; ++s) {
    View view = source;
    view.offset = s;
    step.terms.push_back({view, From(weights, s * offset)});
  }
}

void WriteSteps(const Sizes& z, const Core& a, const Core& b, Plan& plan) {
  const int64_t a_first = z.phi * z.delta * z.rho * z.gamma * z.beta * (z.alpha + z.epsilon);
  const int64_t b_first = z.phi * z.epsilon * z.rho * z.gamma * z.alpha * (z.beta + z.delta);
  Contract in = Product(0, 2), out = Product(2, 1);
  in.blocks = z.gamma;
  out.blocks = z.phi;
  if (!z.btt() && b_first < a_first) {
    const int64_t inner = z.phi * z.epsilon * z.rho;
    in.groups = z.alpha;
    in.depth = z.beta;
    in.outputs = inner;
    in.terms = {{{0, z.beta * z.alpha, 1, z.alpha}, b.Of(z.beta, z.gamma * z.beta, 1)}};
    in.view = {0, z.alpha * inner, inner, 1};
    out.groups = z.epsilon;
    out.depth = z.gamma * z.alpha;
    out.outputs = z.delta;
    out.view = {0, z.epsilon * z.delta, z.delta, 1};
    AddTerms({0, z.epsilon * z.rho, z.rho, inner},
             a.Of(z.delta * z.rho * out.depth, z.rho * out.depth, 1), out.depth, z.rho, out);
    plan.widths.push_back(inner * z.gamma * z.alpha);
  } else {
    const int64_t inner = z.phi * z.delta * z.rho;
    in.groups = z.beta;
    in.depth = z.alpha;
    in.outputs = inner;
    in.terms = {{{0, z.beta * z.alpha, z.alpha, 1},
                 z.btt() ? a.Of(z.alpha * inner, 1, inner) : a.Of(z.alpha, z.gamma * z.alpha, 1)}};
    in.view = {0, z.beta * inner, inner, 1};
    out.groups = z.delta;
    out.depth = z.gamma * z.beta;
    out.outputs = z.epsilon;
    out.view = {0, z.epsilon * z.delta, 1, z.delta};
    const View source = {0, z.delta * z.rho, z.rho, inner};
    if (z.btt()) {
      AddTerms(source, b.Of(z.gamma * z.rho * z.epsilon, 1, z.rho * z.epsilon), z.epsilon, z.rho,
               out);
    } else {
      AddTerms(source, b.Of(z.epsilon * z.rho * out.depth, z.rho * out.depth, 1), out.depth, z.rho,
               out);
    }
    plan.widths.push_back(inner * z.gamma * z.beta);
  }
  plan.steps = {std::move(in), std::move(out)};
}

Fault TakeGammas(Leaves& leaves, const Leaf*& a, const Leaf*& b) {
  for (const auto& [name, gamma] : {std::pair{kGammaA, &a}, {kGammaB, &b}}) {
    *gamma = leaves.Take(name, LeafUse::kFloats);
    if (*gamma == nullptr) return leaves.Missing(name, "[]");
    if ((*gamma)->elements() != 1) return WrongShape(**gamma, "[]");
  }
  return {};
}

// Caps and gammas, where the layer has them.
Fault Fold(Leaves& leaves, Options& options, const Sizes& z, Core& a, Core& b, Plan& plan) {
  const bool normalized = options.Switch("normalized").value_or(false);
  const bool scaled = options.Switch("gamma").value_or(leaves.Has(kGammaA));
  const Leaf *gamma_a = nullptr, *gamma_b = nullptr;
  if (scaled) {
    const Fault fault = TakeGammas(leaves, gamma_a, gamma_b);
    if (!fault.empty()) return fault;
  }
  if ((!normalized && !scaled) || a.leaf->data == nullptr) return {};
  const double epsilon = z.btt() ? 1e-8 : 1e-6;
  std::optional<RmsCap> cap_a, cap_b;
  if (normalized) {
    cap_a = {z.alpha, z.delta * z.phi * z.rho, epsilon};
    cap_b = {z.beta * z.gamma * z.rho, z.epsilon, epsilon};
  }
  a.fold = KeepFold(Capped(*a.leaf, cap_a, gamma_a), plan);
  b.fold = KeepFold(Capped(*b.leaf, cap_b, gamma_b), plan);
  return {};
}

Fault CompileDense(const Leaf& weight, Leaves& leaves, LayerSize size, Plan& plan) {
  if (weight.rank() != 2 || weight.elements() == 0 ||
      !size.Fits(weight.shape[0], weight.shape[1])) {
    return WrongShape(weight, SizesText({SizeText(size.in, "in"), SizeText(size.out, "out")}) +
                                  " where " + std::string(kB) + " is missing");
  }
  const int64_t in = weight.shape[0], out = weight.shape[1];
  plan = DensePlan(in, out, {weight.data, weight.element});
  plan.structure = "einsum dense";
  Weights& weights = std::get<Contract>(plan.steps[0]).terms[0].weights;
  weights.output = 1;
  weights.depth = out;
  return TakeBias(leaves, "b", size, BiasShape::kVector, plan);
}

Fault Compile(Leaves& leaves, Options& options, LayerSize size, Plan& plan) {
  const Leaf* const a = leaves.Take(kA, LeafUse::kWeights);
  if (a == nullptr) return leaves.Missing(kA, "[γ, α, φ·ρ], or that of expr");
  const auto expr = options.String("expr");
  const Leaf* const b = leaves.Take(kB, LeafUse::kWeights);
  if (b == nullptr) {
    return expr.has_value() ? leaves.Missing(kB, "that of expr")
                            : CompileDense(*a, leaves, size, plan);
  }
  Sizes sizes;
  Fault fault =
      !expr.has_value() ? SizesOfShapes(*a, *b, size, sizes)
      : size.in == 0 || size.out == 0
          ? expr->name + " needs the sizes of the layer; expected none where they are not known"
          : SizesOfExpr(*expr, size, sizes);
  if (!fault.empty()) return fault;
  if (ShapeText(a->shape) != ShapeOfA(sizes)) return WrongShape(*a, ShapeOfA(sizes));
  if (ShapeText(b->shape) != ShapeOfB(sizes)) return WrongShape(*b, ShapeOfB(sizes));
  plan = Plan();
  plan.structure = "einsum in " + std::to_string(sizes.alpha) + "x" + std::to_string(sizes.beta) +
                   "x" + std::to_string(sizes.gamma) + " out " + std::to_string(sizes.delta) + "x" +
                   std::to_string(sizes.epsilon) + "x" + std::to_string(sizes.phi) + " rank " +
                   std::to_string(sizes.rho);
  plan.widths = {size.in != 0 ? size.in : sizes.in(), size.out != 0 ? size.out : sizes.out()};
  Core core_a = {a}, core_b = {b};
  fault = Fold(leaves, options, sizes, core_a, core_b, plan);
  if (!fault.empty()) return fault;
  WriteSteps(sizes, core_a, core_b, plan);
  return TakeBiasOf(sizes.out(), leaves, "b", size, plan);
}

// A block tensor train whose sizes are as near to each other as `rank`, which is that of φ·ε, lets
// them be.
std::vector<ExampleLeaf> Example(LayerSize size, int64_t detail) {
  const int64_t gamma = size.in % detail == 0 ? detail : 1;
  const int64_t phi = size.out % detail == 0 ? detail : 1;
  return {{kA, {gamma, size.in / gamma, phi}}, {kB, {phi, gamma, size.out / phi}}};
}

}  // namespace

extern const Structure kEinsum;
const Structure kEinsum = {.kind = "einsum",
                           .leaves = kLeaves,
                           .network_option = {},
                           .bias = "b",
                           .Matches = &Matches,
                           .Compile = &Compile,
                           .Example = &Example};

}  // namespace dyad::kernels
