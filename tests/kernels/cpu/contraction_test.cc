// Panels and epilogues below the layer: ranges of panels, and the accuracy of the activations.
#include "kernels/cpu/contraction.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

float ActivateOne(Activation activation, float x) {
  float y = 0;
  FinishRows(
      {.sum = {&x, 1}, .y = {&y, 1}, .features = 1, .bias = nullptr, .epilogue = {activation, {}}},
      {0, 1});
  return y;
}

class EpilogueTest : public testing::TestWithParam<std::string_view> {
 protected:
  WithIsa isa_{GetParam()};
};

// The bounds of math-inl.h.
TEST_P(EpilogueTest, ActivationsStayWithinTheirBound) {
  for (double x = -20; x <= 20; x += 0.00137) {
    const auto value = static_cast<float>(x);
    const double wide = value;
    const double gelu = reference::Activate(Activation::kGelu, wide);
    EXPECT_NEAR(ActivateOne(Activation::kGelu, value), gelu,
                (4 + wide * wide / 2) * 0x1p-23 * std::abs(gelu) + 1e-37)
        << value;
    const double u = 0.7978845608 * (wide + 0.044715 * wide * wide * wide);
    const double tanh = reference::Activate(Activation::kGeluTanh, wide);
    EXPECT_NEAR(ActivateOne(Activation::kGeluTanh, value), tanh,
                (4 + 6 * std::abs(u)) * 0x1p-23 * std::abs(tanh) + 1e-37)
        << value;
  }
}

TEST_P(EpilogueTest, ActivationsAtTheirEdges) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const Activation activation :
       {Activation::kRelu, Activation::kGelu, Activation::kGeluTanh}) {
    EXPECT_EQ(ActivateOne(activation, 0.0f), 0.0f);
    EXPECT_EQ(ActivateOne(activation, 100.0f), 100.0f);
    EXPECT_EQ(ActivateOne(activation, -100.0f), 0.0f);
    EXPECT_EQ(ActivateOne(activation, 3e38f), 3e38f);
    EXPECT_EQ(ActivateOne(activation, infinity), infinity);
    EXPECT_TRUE(std::isnan(ActivateOne(activation, NAN)));
  }
}

// Columns one side and the other of whole vectors, bias, residual, misaligned rows.
TEST_P(EpilogueTest, FinishesEveryColumnAndNoOther) {
  for (const int64_t features : {1, 7, 8, 9, 15, 16, 17, 31, 33, 64}) {
    const SampleRows sum(3, features, 1), residual(3, features, 2);
    SampleRows y(3, features, 3);
    const SampleRows untouched = y;
    const std::vector<float> bias = RandomFloats(features, 4);
    FinishRows({.sum = sum.view(),
                .y = y.rows(),
                .features = features,
                .bias = bias.data(),
                .epilogue = {Activation::kRelu, residual.view()}},
               {1, 2});
    for (int64_t t = 0; t < 3; ++t) {
      for (int64_t n = 0; n < y.stride; ++n) {
        float expected = untouched.at(t, n);
        if (t >= 1 && n < features) {
          expected =
              std::max(sum.at(t, n) + bias[static_cast<size_t>(n)], 0.0f) + residual.at(t, n);
        }
        ASSERT_EQ(y.at(t, n), expected) << features << " " << t << " " << n;
      }
    }
  }
}

// What the vocabulary does: some panels of a layer, into a narrow result.
TEST_P(EpilogueTest, ARangeOfPanelsLandsAtItsFirstFeature) {
  for (const Element type : {Element::kFloat32, Element::kInt8}) {
    const SampleLayer sample({Kind::kDense, 1, 5, 100}, type);
    const Plan plan = sample.plan();
    const PackedContraction contraction = PackWeights(std::get<Contract>(plan.steps[0]), plan);
    const std::vector<float> bias = PackBias(contraction, plan.bias);
    const SampleRows x(1, 5, 4);
    Scratch scratch;
    const auto run = [&](PanelRange panels, std::vector<float>& y) {
      ContractPanels({.contraction = &contraction,
                      .rows = {x.view().data, {}},
                      .tokens = 1,
                      .y = {y.data(), 0},
                      .first_feature = panels.first * 32,
                      .bias = bias.data(),
                      .epilogue = {}},
                     panels, scratch);
    };
    std::vector<float> whole(100), part(36), halves(64);
    run({0, 4}, whole);
    run({2, 4}, part);
    EXPECT_EQ(part, std::vector<float>(whole.begin() + 64, whole.end()));
    run({1, 3}, halves);  // of two pairs of int8's panels
    EXPECT_EQ(halves, std::vector<float>(whole.begin() + 32, whole.begin() + 96));
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, EpilogueTest, testing::ValuesIn(SupportedIsas()),
                         [](const auto& isa) { return std::string(isa.param); });

TEST(EpilogueBitsTest, ActivationsAgreeBitForBitOnAllInstructionSets) {
  for (float x = -16; x < 16; x += 0.0113f) {
    for (const Activation activation : {Activation::kGelu, Activation::kGeluTanh}) {
      ForceIsa("scalar");
      const float expected = ActivateOne(activation, x);
      for (const std::string_view name : SupportedIsas()) {
        const WithIsa isa(name);
        ASSERT_EQ(ActivateOne(activation, x), expected) << x << " " << name;
      }
    }
  }
  ForceIsa(SupportedIsas().front());
}

}  // namespace
}  // namespace dyad::kernels
