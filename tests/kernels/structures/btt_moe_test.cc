// BTT-MoE by its formula over all experts, and tensors and options that do not fit.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/kernels/structures/compiled_layer.h"

namespace dyad::kernels {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kAlpha = 3, kGamma = 4, kPhi = 2, kEpsilon = 5, kExperts = 4;
constexpr LayerSize kSize = {12, 10, Bias::kPresent};

struct Layer {
  Layer() : compiled("btt_moe") {
    compiled.Add("btt_layer.matrix_params.0", {kGamma, kAlpha, kPhi * kExperts});
    compiled.Add("btt_layer.matrix_params.1", {kPhi, kGamma * kExperts, kEpsilon});
    compiled.Add("moe_gate.weight", {kExperts, 12});
    compiled.Add("b", {10});
  }

  // Without caps: `scale_a` and `scale_b` stand for them.
  std::vector<double> Formula(int64_t keep, double scale_a, double scale_b,
                              const std::vector<float>& x) const {
    const auto &a = compiled.values[0], &b = compiled.values[1], &gate = compiled.values[2];
    std::vector<std::pair<double, int64_t>> logits;
    for (int64_t e = 0; e < kExperts; ++e) {
      double logit = 0;
      for (int64_t i = 0; i < 12; ++i) {
        logit += double{gate[static_cast<size_t>(e * 12 + i)]} * x[static_cast<size_t>(i)];
      }
      logits.emplace_back(-logit, e);
    }
    std::sort(logits.begin(), logits.end());
    double sum = 0;
    for (int64_t i = 0; i < keep; ++i) sum += std::exp(-logits[static_cast<size_t>(i)].first);
    std::vector<double> y(compiled.values[3].begin(), compiled.values[3].end());
    for (int64_t place = 0; place < keep; ++place) {
      const auto [logit, s] = logits[static_cast<size_t>(place)];
      const double weight = std::exp(-logit) / sum + 1e-6;
      for (int64_t f = 0; f < kPhi; ++f) {
        for (int64_t g = 0; g < kGamma; ++g) {
          double h = 0;
          for (int64_t i = 0; i < kAlpha; ++i) {
            h += scale_a *
                 a[static_cast<size_t>((g * kAlpha + i) * kPhi * kExperts + f * kExperts + s)] *
                 x[static_cast<size_t>(g * kAlpha + i)];
          }
          for (int64_t e = 0; e < kEpsilon; ++e) {
            y[static_cast<size_t>(f * kEpsilon + e)] +=
                weight * scale_b *
                b[static_cast<size_t>((f * kGamma * kExperts + g * kExperts + s) * kEpsilon + e)] *
                h;
          }
        }
      }
    }
    return y;
  }

  CompiledLayer compiled;
};

double CapScale(const std::vector<float>& core, double in, double out) {
  double squares = 0;
  for (const float value : core) squares += double{value} * value;
  const double rms = std::sqrt(squares / static_cast<double>(core.size()) + 1e-8);
  return 1 / std::max(1.0, rms / (std::sqrt(std::min(in, out)) / in));
}

TEST(BttMoeTest, IsItsFormulaForEveryNumberOfActiveExperts) {
  for (int64_t keep = 1; keep <= kExperts; ++keep) {
    Layer layer;
    layer.compiled.options.Add("num_active_experts", keep);
    ASSERT_EQ(layer.compiled.Compile(kSize), "");
    const double a = CapScale(layer.compiled.values[0], kAlpha, kPhi);
    const double b = CapScale(layer.compiled.values[1], kGamma, kEpsilon);
    EXPECT_LT(a, 1) << "the caps do something";
    for (uint32_t seed = 20; seed < 25; ++seed) {
      const std::vector<float> x = RandomFloats(12, seed);
      const auto y = layer.compiled.Apply(x);
      const auto expected = layer.Formula(keep, a, b, x);
      for (size_t o = 0; o < y.size(); ++o) EXPECT_NEAR(y[o], expected[o], 1e-6);
    }
    // The cores of `keep` of 4 experts, and the gate.
    EXPECT_EQ(Cost(layer.compiled.plan).multiply_adds,
              keep * (kGamma * kAlpha * kPhi + kPhi * kGamma * kEpsilon) + kExperts * 12);
  }
}

TEST(BttMoeTest, GammasScale) {
  Layer layer;
  const float a = layer.compiled.Add("btt_layer.matrix_params.2", {})[0];
  const float b = layer.compiled.Add("btt_layer.matrix_params.3", {})[0];
  ASSERT_EQ(layer.compiled.Compile(kSize), "");
  EXPECT_TRUE(layer.compiled.leaves.untaken().empty());
  const std::vector<float> x = RandomFloats(12, 3);
  const auto y = layer.compiled.Apply(x);
  const auto expected = layer.Formula(2, a * CapScale(layer.compiled.values[0], kAlpha, kPhi),
                                      b * CapScale(layer.compiled.values[1], kGamma, kEpsilon), x);
  for (size_t o = 0; o < y.size(); ++o) EXPECT_NEAR(y[o], expected[o], 1e-6);
}

TEST(BttMoeTest, TheBiasMayBeStoredTwiceIfItIsEqual) {
  Layer equal;
  equal.compiled.Add("btt_layer.b", {10});
  std::copy_n(equal.compiled.values[3].begin(), 10, equal.compiled.values[4].begin());
  EXPECT_EQ(equal.compiled.Compile(kSize), "");
  EXPECT_TRUE(equal.compiled.leaves.untaken().empty());
  Layer other;
  other.compiled.Add("btt_layer.b", {10});
  EXPECT_THAT(other.compiled.Compile(kSize), HasSubstr("fc.btt_layer.b differs from"));
}

TEST(BttMoeTest, RefusesWhatDoesNotFit) {
  const auto compile = [](const Shape& a, const Shape& b, const Shape& gate, int64_t active = 2) {
    CompiledLayer layer("btt_moe");
    layer.AddShape("btt_layer.matrix_params.0", a);
    layer.AddShape("btt_layer.matrix_params.1", b);
    layer.AddShape("moe_gate.weight", gate);
    layer.options.Add("num_active_experts", active);
    return layer.Compile({12, 10, Bias::kNone});
  };
  EXPECT_EQ(compile({4, 3, 8}, {2, 16, 5}, {4, 12}), "");
  EXPECT_THAT(compile({4, 3, 8}, {2, 16, 5}, {3, 12}), HasSubstr("matrix_params.0 has shape"));
  EXPECT_THAT(compile({4, 3, 8}, {2, 16, 5}, {4, 11}), HasSubstr("moe_gate.weight has shape"));
  EXPECT_THAT(compile({4, 2, 8}, {2, 16, 5}, {4, 12}), HasSubstr("γ·α = 12"));
  EXPECT_THAT(compile({4, 3, 8}, {2, 12, 5}, {4, 12}), HasSubstr("expected [2, 16, 10/2]"));
  EXPECT_THAT(compile({4, 3, 8}, {2, 16, 4}, {4, 12}), HasSubstr("expected [2, 16, 10/2]"));
  EXPECT_THAT(compile({4, 3, 8}, {2, 16, 5}, {4, 12}, 0),
              HasSubstr("num_active_experts is 0; expected [1, 4]"));
  EXPECT_THAT(compile({4, 3, 8}, {2, 16, 5}, {4, 12}, 5), HasSubstr("is 5; expected [1, 4]"));
  EXPECT_THAT(CompileShapes("btt_moe", kSize, {{"moe_gate.weight", {4, 12}}}),
              HasSubstr("matrix_params.0 is missing"));
  EXPECT_THAT(CompileShapes("btt_moe", kSize, {{"btt_layer.matrix_params.0", {4, 3, 8}}}),
              HasSubstr("moe_gate.weight is missing"));
}

// --- Mixtures of whole layers ---

struct Mixture {
  // Experts 0 and 1 are block tensor trains of ranks 1 and 2, expert 2 is dense.
  explicit Mixture(Bias with_bias = Bias::kPresent) : compiled("btt_moe") {
    compiled.Add("moe_gate.weight", {3, 12});
    compiled.Add("experts.0.matrix_params.0", {kGamma, kAlpha, kPhi});
    compiled.Add("experts.0.matrix_params.1", {kPhi, kGamma, kEpsilon});
    compiled.Add("experts.1.matrix_params.0", {kGamma, kAlpha, kPhi * 2});
    compiled.Add("experts.1.matrix_params.1", {kPhi, kGamma * 2, kEpsilon});
    compiled.Add("experts.2.matrix_params.0", {12, 10});
    if (with_bias == Bias::kNone) return;
    for (const char* expert : {"0", "1", "2"}) {
      compiled.Add("experts." + std::string(expert) + ".b", {10});
    }
  }

  // Σ_a A[g, a, f·ρ+s] · x and Σ B[f, g·ρ+s, e] · that, or x · A; + b.
  std::vector<double> Expert(size_t expert, const std::vector<float>& x) const {
    const std::vector<float>& bias = compiled.values[6 + expert];
    std::vector<double> y(bias.begin(), bias.end());
    const auto& a = compiled.values[1 + 2 * expert];
    if (expert == 2) {
      for (size_t i = 0; i < 120; ++i) y[i % 10] += double{a[i]} * x[i / 10];
      return y;
    }
    const auto& b = compiled.values[2 + 2 * expert];
    const int64_t rank = expert == 0 ? 1 : 2;
    for (int64_t f = 0; f < kPhi; ++f) {
      for (int64_t s = 0; s < rank; ++s) {
        for (int64_t g = 0; g < kGamma; ++g) {
          double h = 0;
          for (int64_t i = 0; i < kAlpha; ++i) {
            h += double{a[static_cast<size_t>((g * kAlpha + i) * kPhi * rank + f * rank + s)]} *
                 x[static_cast<size_t>(g * kAlpha + i)];
          }
          for (int64_t e = 0; e < kEpsilon; ++e) {
            y[static_cast<size_t>(f * kEpsilon + e)] +=
                b[static_cast<size_t>((f * kGamma * rank + g * rank + s) * kEpsilon + e)] * h;
          }
        }
      }
    }
    return y;
  }

  std::vector<double> Formula(size_t keep, const std::vector<float>& x) const {
    std::vector<std::pair<double, size_t>> logits;
    for (size_t e = 0; e < 3; ++e) {
      double logit = 0;
      for (size_t i = 0; i < 12; ++i) logit += double{compiled.values[0][e * 12 + i]} * x[i];
      logits.emplace_back(-logit, e);
    }
    std::sort(logits.begin(), logits.end());
    double sum = 0;
    for (size_t i = 0; i < keep; ++i) sum += std::exp(-logits[i].first);
    std::vector<double> y(10, 0.0);
    for (size_t i = 0; i < keep; ++i) {
      const std::vector<double> of_expert = Expert(logits[i].second, x);
      for (size_t o = 0; o < 10; ++o) y[o] += std::exp(-logits[i].first) / sum * of_expert[o];
    }
    return y;
  }

  CompiledLayer compiled;
};

// Weights are float32, logits and all: 4e-7 of outputs up to 2. That tells a softmax from one with
// 1e-6 beside it.
TEST(BttMoeTest, AMixtureOfWholeLayersIsItsFormula) {
  for (int64_t keep = 1; keep <= 3; ++keep) {
    Mixture mixture;
    mixture.compiled.options.Add("num_active_experts", keep);
    ASSERT_EQ(mixture.compiled.Compile(kSize), "");
    EXPECT_TRUE(mixture.compiled.leaves.untaken().empty());
    for (uint32_t seed = 20; seed < 25; ++seed) {
      const std::vector<float> x = RandomFloats(12, seed);
      const auto y = mixture.compiled.Apply(x);
      const auto expected = mixture.Formula(static_cast<size_t>(keep), x);
      for (size_t o = 0; o < y.size(); ++o) EXPECT_NEAR(y[o], expected[o], 4e-7);
    }
  }
}

TEST(BttMoeTest, ExpertsOfAMixtureAreCappedAndScaledOneByOne) {
  CompiledLayer mixture("btt_moe"), expert("einsum");
  mixture.Add("moe_gate.weight", {1, 12});
  for (const auto& [leaf, shape] :
       std::vector<std::pair<std::string, Shape>>{{"matrix_params.0", {kGamma, kAlpha, kPhi}},
                                                  {"matrix_params.1", {kPhi, kGamma, kEpsilon}},
                                                  {"matrix_params.2", {}},
                                                  {"matrix_params.3", {}}}) {
    mixture.Add("experts.0." + leaf, shape);
    const std::vector<float>& same = expert.Add(leaf, shape);
    mixture.values.back() = same;
    mixture.leaves.at("experts.0." + leaf).data = mixture.values.back().data();
  }
  for (CompiledLayer* layer : {&mixture, &expert}) {
    layer->options.Add("normalized", true);
    ASSERT_EQ(layer->Compile({12, 10, Bias::kNone}), "");
  }
  const std::vector<float> x = RandomFloats(12, 3);
  ExpectNear(mixture.Apply(x), expert.Apply(x));
}

TEST(BttMoeTest, RefusesMixturesThatDoNotFit) {
  const auto fault = [](auto change, Bias bias = Bias::kPresent) {
    Mixture mixture(bias);
    change(mixture.compiled);
    return mixture.compiled.Compile({12, 10, bias});
  };
  EXPECT_EQ(fault([](CompiledLayer&) {}, Bias::kNone), "");
  EXPECT_THAT(fault([](CompiledLayer& layer) {
                layer.AddShape("moe_gate.weight", {4, 12});
              }),
              HasSubstr("tensor fc.experts.3.matrix_params.0 is missing"));
  EXPECT_THAT(fault([](CompiledLayer& layer) {
                layer.AddShape("moe_gate.weight", {3, 11});
              }),
              HasSubstr("moe_gate.weight has shape [3, 11]; expected [experts, 12]"));
  EXPECT_THAT(fault([](CompiledLayer& layer) {
                layer.AddShape("experts.1.matrix_params.1", {kPhi, kGamma * 2, 4});
              }),
              HasSubstr("experts.1.matrix_params.0 has shape"));
  EXPECT_THAT(fault([](CompiledLayer& layer) {
                layer.AddShape("experts.2.matrix_params.0", {12, 9});
              }),
              HasSubstr("experts.2.matrix_params.0 has shape [12, 9]; expected [12, 10]"));
  EXPECT_THAT(fault([](CompiledLayer& layer) { layer.AddShape("experts.2.b", {9}); }),
              HasSubstr("experts.2.b has shape [9]; expected [10]"));
  EXPECT_THAT(
      fault([](CompiledLayer& layer) { layer.options.Add("num_active_experts", int64_t{4}); }),
      HasSubstr("num_active_experts is 4; expected [1, 3]"));
  EXPECT_THAT(fault([](CompiledLayer& layer) {
                layer.options.Add("expr", std::string("(1|0|0|0|1|0|0)"));
              }),
              HasSubstr("expr is '(1|0|0|0|1|0|0)'; expected none"));
  // What no expert takes stays, to be refused by name.
  Mixture more;
  more.compiled.AddShape("experts.3.matrix_params.0", {12, 10});
  EXPECT_EQ(more.compiled.Compile(kSize), "");
  EXPECT_THAT(more.compiled.leaves.untaken(), ::testing::ElementsAre("experts.3.matrix_params.0"));
}

}  // namespace
}  // namespace dyad::kernels
