// The definition itself, on cases worked by hand.
#include "kernels/reference/integer.h"
#include "kernels/reference/plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

namespace dyad::kernels::reference {
namespace {

Weights WeightsOf(const std::vector<float>& values) {
  return {.data = values.data(), .elements = std::ssize(values)};
}

TEST(ReferencePlanTest, AddsBiasThenActivatesThenAddsTheResidual) {
  const std::vector<float> weight = {1, -2, 3, 4}, x = {1, 2}, residual = {7, 8};
  const Plan plan = DensePlan(2, 2, {weight.data()}, {0.5f, -30});
  const PlanResult result =
      Apply(plan, 1, {x.data(), 2}, {Activation::kRelu, {residual.data(), 2}});
  EXPECT_EQ(result.sum, (std::vector<double>{1 - 4 + 0.5, 3 + 8 - 30}));
  EXPECT_EQ(result.magnitude, (std::vector<double>{1 + 4 + 0.5, 3 + 8 + 30}));
  EXPECT_EQ(result.y, (std::vector<double>{7, 8}));
  EXPECT_EQ(result.roundings, (std::vector<int64_t>{2 + 1, 2 + 1}));  // products, bias
  EXPECT_EQ(Chain(plan, 1, {x.data(), 2}), (std::vector<float>{-2.5f, -19}));
}

// Two blocks of two inputs and one output, whose second term reads x strided.
struct TwoTerms {
  std::vector<float> near = {1, 10, 100, 1000}, far = {5, 7, 11, 13}, x = {1, 2, 3, 4};
  Contract step;
  Plan plan;

  explicit TwoTerms(Element type) {
    step.blocks = 2;
    step.depth = 2;
    step.outputs = 1;
    step.view = {.block = 1};
    Weights near_weights = WeightsOf(near), far_weights = WeightsOf(far);
    near_weights.block = far_weights.block = 2;
    step.terms = {{{.block = 2}, near_weights}, {{.block = 1, .stride = 2}, far_weights}};
    plan.widths = {4, 2};
    plan.steps = {step};
    plan.type = type;
  }
  std::vector<double> Wide() const { return Apply(plan, 1, {x.data(), 4}, {}).y; }
};

// Near reads (1, 2) and (3, 4), far reads (1, 3) and (2, 4).
TEST(ReferencePlanTest, TermsReadTheirViewsAndAdd) {
  const TwoTerms two(Element::kFloat32);
  EXPECT_EQ(two.Wide(), (std::vector<double>{1 + 20 + 5 + 21, 300 + 4000 + 22 + 52}));
  EXPECT_EQ(Chain(two.plan, 1, {two.x.data(), 4}), (std::vector<float>{47, 4374}));
}

// h = (x0 + 2 x1 + bias, 3 x1 + 4 x2 + bias, + 0), y = (h0 + h1, dropped) twice, then the bias.
TEST(ReferencePlanTest, StepsAddThroughBuffersAndEdgesAreRagged) {
  const std::vector<float> first = {1, 2, 3, 4}, ones = {1, 1}, x = {5, 6, 7}, bias = {100, 200};
  Contract in;
  in.destination = 2;
  in.blocks = 2;
  in.depth = 2;
  in.outputs = 1;
  in.terms = {{{.block = 1}, WeightsOf(first)}};
  in.terms[0].weights.block = 2;
  in.view = {.block = 1};
  in.bias = bias;
  Contract out;
  out.source = 2;
  out.depth = 2;
  out.outputs = 2;
  out.terms = {{{.stride = 1}, WeightsOf(ones)}};
  out.terms[0].weights.depth = 0;
  out.terms[0].weights.output = 1;
  out.view = {.stride = 1};
  Plan plan;
  plan.widths = {3, 1, 2};
  plan.steps = {in, out, out};
  plan.bias = {0.5f};
  ASSERT_EQ(Check(plan), "");
  constexpr float h0 = 5 + 12 + 100, h1 = 18 + 28 + 200;
  const PlanResult result = Apply(plan, 1, {x.data(), 3}, {});
  EXPECT_EQ(result.y, (std::vector<double>{2 * (h0 + h1) + 0.5}));
  EXPECT_EQ(result.magnitude, result.y);
  EXPECT_EQ(result.roundings, (std::vector<int64_t>{3 + 2 + 2 + 1}));  // h, twice y, the bias
  // The second step reads one feature past the end of h: + 0.
  std::get<Contract>(plan.steps[1]).terms[0].source.offset = 1;
  EXPECT_EQ(Apply(plan, 1, {x.data(), 3}, {}).y, (std::vector<double>{h1 + h0 + h1 + 0.5}));
  EXPECT_EQ(Chain(plan, 1, {x.data(), 3}), (std::vector<float>{h1 + h0 + h1 + 0.5f}));
}

// Two groups of two inputs share a 1 x 2 matrix.
TEST(ReferencePlanTest, GroupsShareWeights) {
  const std::vector<float> weight = {1, 10}, x = {1, 2, 3, 4, 5, 6, 7, 8};
  Contract step;
  step.groups = 2;
  step.depth = 2;
  step.outputs = 1;
  step.terms = {{{.group = 2}, WeightsOf(weight)}};
  step.view = {.group = 1};
  Plan plan;
  plan.widths = {4, 2};
  plan.steps = {step};
  ASSERT_EQ(Check(plan), "");
  EXPECT_EQ(Apply(plan, 2, {x.data(), 4}, {}).y, (std::vector<double>{21, 43, 65, 87}));
  EXPECT_EQ(Chain(plan, 2, {x.data(), 4}), (std::vector<float>{21, 43, 65, 87}));
}

// −0 as a product that underflows; + 0 · 1 behind it makes + 0, + 0 · −1 leaves it.
TEST(ReferencePlanTest, AZeroPastTheEndTakesPart) {
  const std::vector<float> x = {1e-30f};
  for (const auto& [weight, negative] : {std::pair{1.0f, false}, {-1.0f, true}}) {
    const std::vector<float> weights = {-1e-30f, weight};
    Plan plan = DensePlan(2, 1, {weights.data()});
    plan.widths[0] = 1;
    const std::vector<float> y = Chain(plan, 1, {x.data(), 1});
    EXPECT_EQ(y[0], 0);
    EXPECT_EQ(std::signbit(y[0]), negative);
  }
}

TEST(ReferencePlanTest, TheChainRoundsOnceAtEachTerm) {
  // In double 1 + 2^-24 − 1; the chain loses the small one, or keeps it, by order.
  const std::vector<float> small_in_between = {1, 0x1p-24f, -1}, small_last = {1, -1, 0x1p-24f};
  const std::vector<float> x = {1, 1, 1};
  EXPECT_EQ(Chain(DensePlan(3, 1, {small_in_between.data()}), 1, {x.data(), 3})[0], 0);
  EXPECT_EQ(Chain(DensePlan(3, 1, {small_last.data()}), 1, {x.data(), 3})[0], 0x1p-24f);
}

TEST(ReferencePlanTest, WidensWeightsOf16Bits) {
  const std::vector<uint16_t> half = {0x3c00, 0xc000, 0x0001, 0x7bff};
  EXPECT_EQ(WeightAt(half.data(), Element::kFloat16, 0), 1);
  EXPECT_EQ(WeightAt(half.data(), Element::kFloat16, 1), -2);
  EXPECT_EQ(WeightAt(half.data(), Element::kFloat16, 2), 0x1p-24);
  EXPECT_EQ(WeightAt(half.data(), Element::kFloat16, 3), 65504);
  const std::vector<uint16_t> brain = {0x3f80, 0xc040};
  EXPECT_EQ(WeightAt(brain.data(), Element::kBfloat16, 0), 1);
  EXPECT_EQ(WeightAt(brain.data(), Element::kBfloat16, 1), -3);
}

// Ties to even: 1 + 2^-8 lies between two bfloat16, 1 + 2^-11 between two float16.
TEST(ReferencePlanTest, WeightsRoundToTheTypeOfThePlan) {
  const std::vector<float> weights = {1 + 0x1p-8f, 1 + 0x1.8p-7f, 1 + 0x1p-11f, 0x1.8p-24f};
  const std::vector<float> x = {1};
  const auto rounded = [&](Element type) {
    Plan plan = DensePlan(1, 4, {weights.data()});
    plan.type = type;
    return Chain(plan, 1, {x.data(), 1});
  };
  EXPECT_EQ(rounded(Element::kBfloat16), (std::vector<float>{1, 1 + 0x1p-6f, 1, 0x1.8p-24f}));
  EXPECT_EQ(rounded(Element::kFloat16),
            (std::vector<float>{1 + 0x1p-8f, 1 + 0x1.8p-7f, 1, 0x1p-23f}));
}

// Scale 254/127 = 2: 3/2 and 1/2 lie between two whole numbers and go to the even ones.
TEST(ReferencePlanTest, Int8RoundsToTheScaleOfItsRow) {
  EXPECT_EQ(ThroughInt8({-254, 3, 1, 5.1, 0}), (std::vector<double>{-254, 4, 0, 6, 0}));
  EXPECT_EQ(ThroughInt8({0, 0}), (std::vector<double>{0, 0}));
  EXPECT_EQ(ThroughInt8({1e-38, 1e-40}), (std::vector<double>{0, 0}));
}

// One scale for an output's both terms in one step, and one for each of two steps.
TEST(ReferencePlanTest, Int8ByHand) {
  TwoTerms two(Element::kInt8);
  two.near = {254, 3, 254, 3};
  two.far = {1, 3, 1, 3};
  two.x = {1, 10, 1, 10};
  Contract& step = std::get<Contract>(two.plan.steps[0]);
  step.terms[1].source = {.block = 2};
  EXPECT_EQ(two.Wide()[0], 254 + 40 + 0 * 1 + 4 * 10);
  EXPECT_EQ(Apply(two.plan, 1, {two.x.data(), 4}, {}).roundings, (std::vector<int64_t>{5, 5}));
  EXPECT_EQ(Chain(two.plan, 1, {two.x.data(), 4})[0], 254 + 40 + 4 * 10);
  Contract second = step;
  second.terms = {step.terms[1]};
  step.terms.pop_back();
  two.plan.steps.emplace_back(second);
  const double scale = 3.0f / 127;
  EXPECT_EQ(two.Wide()[0], 254 + 40 + (42 * scale * 1 + 127 * scale * 10));
  const float chain = std::fma(127.0f, 10.0f, 42.0f);
  EXPECT_EQ(Chain(two.plan, 1, {two.x.data(), 4})[0], std::fma(chain, 3.0f / 127, 294.0f));
}

// Values of a table of the normal distribution: Φ(1) = 0.8413447461, Φ(-2) = 0.0227501319.
TEST(ReferencePlanTest, ActivationsAtKnownPoints) {
  EXPECT_NEAR(Activate(Activation::kGelu, 1), 0.8413447461, 1e-10);
  EXPECT_NEAR(Activate(Activation::kGelu, -2), -2 * 0.0227501319, 1e-9);
  EXPECT_NEAR(Activate(Activation::kGeluTanh, 1),
              0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * 1.044715)), 1e-12);
  EXPECT_EQ(Activate(Activation::kRelu, -1), 0);
  EXPECT_EQ(Activate(Activation::kNone, -1), -1);
}

}  // namespace
}  // namespace dyad::kernels::reference
