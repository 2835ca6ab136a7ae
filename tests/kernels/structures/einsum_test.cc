// Every named form of einsum-search by the formula, and tensors and options that do not fit.
#include <gmock/gmock.h>

#include "tests/kernels/structures/compiled_layer.h"

namespace dyad::kernels {
namespace {

using ::testing::HasSubstr;

struct Sizes {
  int64_t alpha, beta, gamma, delta, epsilon, phi, rho;
  bool btt() const { return beta == 1 && delta == 1; }
};

// The formula, index by index, from tensors as they are stored.
std::vector<double> Formula(const Sizes& z, const std::vector<float>& a,
                            const std::vector<float>& b, const std::vector<float>& bias,
                            const std::vector<float>& x, int64_t out) {
  const auto core_a = [&](int64_t f, int64_t d, int64_t s, int64_t g, int64_t i) -> double {
    return z.btt() ? a[static_cast<size_t>((g * z.alpha + i) * z.phi * z.rho + f * z.rho + s)]
                   : a[static_cast<size_t>(
                         (((f * z.delta + d) * z.rho + s) * z.gamma + g) * z.alpha + i)];
  };
  const auto core_b = [&](int64_t f, int64_t e, int64_t s, int64_t g, int64_t j) -> double {
    return z.btt() ? b[static_cast<size_t>((f * z.gamma * z.rho + g * z.rho + s) * z.epsilon + e)]
                   : b[static_cast<size_t>(
                         (((f * z.epsilon + e) * z.rho + s) * z.gamma + g) * z.beta + j)];
  };
  std::vector<double> y(static_cast<size_t>(out), 0.0);
  for (int64_t o = 0; o < std::min(out, z.delta * z.epsilon * z.phi); ++o) {
    const int64_t d = o % z.delta, e = o / z.delta % z.epsilon, f = o / z.delta / z.epsilon;
    y[static_cast<size_t>(o)] = bias[static_cast<size_t>(o)];
    for (int64_t i = 0; i < std::min(std::ssize(x), z.alpha * z.beta * z.gamma); ++i) {
      const int64_t at = i % z.alpha, j = i / z.alpha % z.beta, g = i / z.alpha / z.beta;
      for (int64_t s = 0; s < z.rho; ++s) {
        y[static_cast<size_t>(o)] +=
            core_b(f, e, s, g, j) * core_a(f, d, s, g, at) * x[static_cast<size_t>(i)];
      }
    }
  }
  return y;
}

Shape Squeezed(Shape shape) {
  std::erase(shape, 1);
  return shape;
}
Shape ShapeOfA(const Sizes& z) {
  return z.btt() ? Shape{z.gamma, z.alpha, z.phi * z.rho}
                 : Squeezed({z.phi, z.delta, z.rho, z.gamma, z.alpha});
}
Shape ShapeOfB(const Sizes& z) {
  return z.btt() ? Shape{z.phi, z.gamma * z.rho, z.epsilon}
                 : Squeezed({z.phi, z.epsilon, z.rho, z.gamma, z.beta});
}

struct Form {
  const char* expr;
  int64_t in, out;
  Sizes sizes;
};
const Form kForms[] = {
    {"(0.5|0|0.5|0|0.5|0.5|0)", 64, 220, {8, 1, 8, 1, 15, 15, 1}},         // btt1, cropped
    {"(0.5|0|0.5|0|0.5|0.5|0)", 72, 72, {8, 1, 8, 1, 8, 8, 1}},            // short
    {"(0.67|0|0.33|0|0.33|0.67|0.25)", 64, 64, {16, 1, 4, 1, 4, 16, 3}},   // btt14
    {"(0.25|0|0.75|0|0.25|0.75|0)", 81, 81, {3, 1, 27, 1, 3, 27, 1}},      // btt10
    {"(0.5|0.5|0|0.5|0.5|0|0)", 60, 180, {8, 8, 1, 13, 13, 1, 1}},         // tt1, padded and short
    {"(0.33|0.67|0|0.33|0.67|0|0.25)", 64, 216, {4, 16, 1, 6, 37, 1, 3}},  // tt4, B first
    {"(1|0|0|0|1|0|0.75)", 60, 70, {60, 1, 1, 1, 70, 1, 22}},              // l1
    {"(0.5|0.25|0.25|0.25|0.5|0.25|0)", 64, 250, {8, 3, 3, 4, 16, 4, 1}},  // g1
    {"(0.5|0.25|0.25|0.25|0.5|0.25|0.25)", 64, 250, {8, 3, 3, 4, 16, 4, 3}},  // g2
};

TEST(EinsumTest, EveryFormIsItsFormula) {
  for (const Form& form : kForms) {
    CompiledLayer layer("einsum");
    const Sizes& z = form.sizes;
    const std::vector<float>& a = layer.Add("matrix_params.0", ShapeOfA(z));
    const std::vector<float>& b = layer.Add("matrix_params.1", ShapeOfB(z));
    const std::vector<float>& bias = layer.Add("b", {z.delta * z.epsilon * z.phi});
    layer.options.Add("expr", std::string(form.expr));
    ASSERT_EQ(layer.Compile({form.in, form.out, Bias::kPresent}), "") << form.expr;
    EXPECT_TRUE(layer.leaves.untaken().empty());
    const std::vector<float> x = RandomFloats(form.in, 9);
    ExpectNear(layer.Apply(x), Formula(z, a, b, bias, x, form.out));
    EXPECT_EQ(Cost(layer.plan).parameters, std::ssize(a) + std::ssize(b));
    const int64_t a_first = z.phi * z.delta * z.rho * z.gamma * z.beta * (z.alpha + z.epsilon);
    const int64_t b_first = z.phi * z.epsilon * z.rho * z.gamma * z.alpha * (z.beta + z.delta);
    EXPECT_EQ(Cost(layer.plan).multiply_adds, std::min(a_first, b_first)) << form.expr;
  }
}

TEST(EinsumTest, ABlockTensorTrainNeedsNoExpr) {
  const Sizes z = {4, 1, 3, 1, 5, 2, 2};
  CompiledLayer layer("einsum");
  const std::vector<float>& a = layer.Add("matrix_params.0", ShapeOfA(z));
  const std::vector<float>& b = layer.Add("matrix_params.1", ShapeOfB(z));
  ASSERT_EQ(layer.Compile({}), "");
  EXPECT_EQ(layer.plan.structure, "einsum in 4x1x3 out 1x5x2 rank 2");
  const std::vector<float> x = RandomFloats(12, 9);
  ExpectNear(layer.Apply(x), Formula(z, a, b, std::vector<float>(10), x, 10));
}

// Both cores are far above their caps, 1/√8 and 1/√24.
TEST(EinsumTest, CapsAndGammasAreFolded) {
  const Sizes z = {8, 1, 8, 1, 8, 8, 3};
  CompiledLayer layer("einsum");
  std::vector<float> a = layer.Add("matrix_params.0", ShapeOfA(z));
  std::vector<float> b = layer.Add("matrix_params.1", ShapeOfB(z));
  const float gamma_a = layer.Add("matrix_params.2", {})[0];
  const float gamma_b = layer.Add("matrix_params.3", {})[0];
  layer.options.Add("normalized", true);
  layer.options.Add("gamma", true);
  ASSERT_EQ(layer.Compile({64, 64, Bias::kNone}), "");
  const auto cap = [](std::vector<float>& core, double in, double out, float gamma) {
    double squares = 0;
    for (const float value : core) squares += double{value} * value;
    const double rms = std::sqrt(squares / static_cast<double>(core.size()) + 1e-8);
    const double most = std::sqrt(std::min(in, out)) / in;
    EXPECT_GT(rms, most);
    for (float& value : core) value = static_cast<float>(gamma * value / (rms / most));
  };
  cap(a, 8, 24, gamma_a);
  cap(b, 24, 8, gamma_b);
  const std::vector<float> x = RandomFloats(64, 9);
  const std::vector<double> y = layer.Apply(x);
  const std::vector<double> expected = Formula(z, a, b, std::vector<float>(64), x, 64);
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], expected[i], 1e-6);
}

TEST(EinsumTest, OneTensorAloneIsDenseAndTransposed) {
  CompiledLayer layer("einsum");
  const std::vector<float>& weight = layer.Add("matrix_params.0", {3, 2});
  ASSERT_EQ(layer.Compile({3, 2, Bias::kNone}), "");
  const std::vector<double> y = layer.Apply({1, 10, 100});
  for (size_t o = 0; o < 2; ++o) {
    EXPECT_NEAR(y[o], weight[o] + 10.0 * weight[2 + o] + 100.0 * weight[4 + o], 1e-9);
  }
}

TEST(EinsumTest, RefusesExprsThatAreNone) {
  const auto compile = [](OptionValue expr, const Shape& a = {8, 8, 8},
                          const Shape& b = {8, 8, 8}) {
    CompiledLayer layer("einsum");
    layer.AddShape("matrix_params.0", a);
    layer.AddShape("matrix_params.1", b);
    layer.options.Add("expr", std::move(expr));
    return layer.Compile({64, 64, Bias::kNone});
  };
  const auto text = [&](const char* expr) { return compile(std::string(expr)); };
  EXPECT_EQ(text("(0.5|0|0.5|0|0.5|0.5|0)"), "");
  for (const char* expr :
       {"", "()", "0.5|0|0.5|0|0.5|0.5|0", "(0.5|0|0.5|0|0.5|0.5)", "(0.5|0|0.5|0|0.5|0.5|0|0|0|0)",
        "(0.5|0|0.5|0|0.5|0.5|x)", "(0.5|-0.5|1|0|0.5|0.5|0)", "(0.5|0|0.5|0|0.5|0.5|nan)",
        "(0.5,0,0.5,0,0.5,0.5,0)", "(0.5|0|0.5|0|0.5|0.5|0"}) {
    EXPECT_THAT(text(expr), HasSubstr("expected 7 exponents")) << expr;
  }
  EXPECT_THAT(text("(0.5|0|0.48|0|0.5|0.5|0)"), HasSubstr("α, β and γ add up to 0.98"));
  EXPECT_THAT(text("(0.5|0|0.5|0|0.6|0.5|0)"), HasSubstr("δ, ε and φ add up to 1.1"));
  EXPECT_THAT(compile(int64_t{3}), HasSubstr("a number; expected a string"));
  EXPECT_THAT(compile(std::string("(0.5|0|0.5|0|0.5|0.5|0)"), {8, 8, 8}, {8, 4, 8}),
              HasSubstr("matrix_params.1 has shape [8, 4, 8]; expected [8, 8, 8]"));
  EXPECT_THAT(compile(std::string("(0.5|0|0.5|0|0.5|0.5|0)"), {8, 8, 16}),
              HasSubstr("matrix_params.0 has shape [8, 8, 16]; expected [8, 8, 8]"));
  CompiledLayer off("einsum");  // 5 · 5 · … are far from 12
  off.AddShape("matrix_params.0", {2, 2, 2});
  off.AddShape("matrix_params.1", {2, 2, 2});
  off.options.Add("expr", std::string("(0.34|0.33|0.33|0|0.5|0.5|0)"));
  EXPECT_THAT(off.Compile({12, 12, Bias::kNone}), HasSubstr("which makes 8 inputs"));
}

TEST(EinsumTest, RefusesTensorsThatDoNotFit) {
  const auto compile = [](const std::vector<std::pair<std::string, Shape>>& shapes) {
    return CompileShapes("einsum", {12, 10, Bias::kAsFound}, shapes);
  };
  const std::string a = "matrix_params.0", b = "matrix_params.1";
  EXPECT_EQ(compile({{a, {3, 4, 4}}, {b, {2, 6, 5}}}), "");
  EXPECT_THAT(compile({{a, {3, 4, 4}}, {b, {2, 5, 5}}}), HasSubstr("fc.matrix_params.1 has shape"));
  EXPECT_THAT(compile({{a, {3, 4, 5}}, {b, {2, 6, 5}}}), HasSubstr("fc.matrix_params.1 has shape"));
  EXPECT_THAT(compile({{a, {3, 5, 4}}, {b, {2, 6, 5}}}), HasSubstr("γ·α = 12"));
  EXPECT_THAT(compile({{a, {3, 4}}, {b, {2, 6, 5}}}), HasSubstr("or the option expr"));
  EXPECT_THAT(compile({{b, {2, 6, 5}}}), HasSubstr("fc.matrix_params.0 is missing"));
  EXPECT_THAT(compile({{a, {10, 12}}}), HasSubstr("expected [12, 10]"));
  EXPECT_THAT(compile({{a, {3, 4, 4}}, {b, {2, 6, 5}}, {"b", {11}}}), HasSubstr("expected [10]"));
  EXPECT_THAT(compile({{a, {3, 4, 4}}, {b, {2, 6, 5}}, {"matrix_params.2", {}}}),
              HasSubstr("fc.matrix_params.3 is missing"));
  EXPECT_THAT(compile({{a, {3, 4, 4}}, {b, {2, 6, 5}}, {"matrix_params.2", {2}}}),
              HasSubstr("fc.matrix_params.2 has shape [2]"));
}

}  // namespace
}  // namespace dyad::kernels
