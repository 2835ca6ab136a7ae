// The definition itself, on cases worked by hand.
#include "kernels/reference/linear.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dyad::kernels::reference {
namespace {

TEST(ReferenceLinearTest, AddsBiasThenActivatesThenAddsTheResidual) {
  const std::vector<float> weight = {1, -2, 3, 4}, bias = {0.5f, -30}, x = {1, 2},
                           residual = {7, 8};
  const LinearSpec spec = DenseSpec(2, 2, WeightType::kFloat32, weight.data(), bias);
  const LinearResult result =
      Linear(spec, 1, {x.data(), 2}, {Activation::kRelu, {residual.data(), 2}});
  EXPECT_EQ(result.sum, (std::vector<double>{1 - 4 + 0.5, 3 + 8 - 30}));
  EXPECT_EQ(result.magnitude, (std::vector<double>{1 + 4 + 0.5, 3 + 8 + 30}));
  EXPECT_EQ(result.y, (std::vector<double>{7, 8}));
  EXPECT_EQ(result.roundings, (std::vector<int64_t>{2, 2}));
}

// x = (1, 2, 3, 4), two blocks of one output: near reads (1, 2) and (3, 4), far reads (1, 3) and
// (2, 4).
TEST(ReferenceLinearTest, DyadItByHand) {
  const std::vector<float> wl = {1, 10, 100, 1000}, wu = {5, 7, 11, 13}, x = {1, 2, 3, 4};
  const LinearSpec spec =
      DyadSpec(4, 2, WeightType::kFloat32, DyadVariant::kIt, {2, wl.data(), wu.data()}, {});
  EXPECT_EQ(Linear(spec, 1, {x.data(), 4}, {}).y,
            (std::vector<double>{1 + 20 + 5 + 21, 300 + 4000 + 22 + 52}));
}

TEST(ReferenceLinearTest, WidensWeightsOf16Bits) {
  const std::vector<uint16_t> half = {0x3c00, 0xc000, 0x0001, 0x7bff};
  EXPECT_EQ(WeightAt(half.data(), WeightType::kFloat16, 0), 1);
  EXPECT_EQ(WeightAt(half.data(), WeightType::kFloat16, 1), -2);
  EXPECT_EQ(WeightAt(half.data(), WeightType::kFloat16, 2), 0x1p-24);
  EXPECT_EQ(WeightAt(half.data(), WeightType::kFloat16, 3), 65504);
  const std::vector<uint16_t> brain = {0x3f80, 0xc040};
  EXPECT_EQ(WeightAt(brain.data(), WeightType::kBfloat16, 0), 1);
  EXPECT_EQ(WeightAt(brain.data(), WeightType::kBfloat16, 1), -3);
}

// Scale 254/127 = 2: 3/2 and 1/2 lie between two whole numbers and go to the even ones.
TEST(ReferenceLinearTest, Int8RoundsToTheScaleOfItsRow) {
  EXPECT_EQ(ThroughInt8({-254, 3, 1, 5.1, 0}), (std::vector<double>{-254, 4, 0, 6, 0}));
  EXPECT_EQ(ThroughInt8({0, 0}), (std::vector<double>{0, 0}));
  EXPECT_EQ(ThroughInt8({1e-38, 1e-40}), (std::vector<double>{0, 0}));
}

// One scale for an output's both terms in IT, and one for each contraction in OT.
TEST(ReferenceLinearTest, Int8OfALayerByHand) {
  const std::vector<float> wl = {254, 3, 254, 3}, wu = {1, 3, 1, 3}, x = {1, 10, 1, 10};
  const auto outputs = [&](DyadVariant variant) {
    return Linear(DyadSpec(4, 2, WeightType::kInt8, variant, {2, wl.data(), wu.data()}, {}), 1,
                  {x.data(), 4}, {});
  };
  const LinearResult it = outputs(DyadVariant::kIt);
  EXPECT_EQ(it.y[0], 254 + 40 + 0 * 1 + 4 * 1);
  EXPECT_EQ(it.roundings, (std::vector<int64_t>{5, 5}));
  const double scale = 3.0f / 127;
  EXPECT_EQ(outputs(DyadVariant::kOt).y[0], 254 + 40 + (42 * scale * 1 + 127 * scale * 10));
}

// Values of a table of the normal distribution: Φ(1) = 0.8413447461, Φ(-2) = 0.0227501319.
TEST(ReferenceLinearTest, ActivationsAtKnownPoints) {
  EXPECT_NEAR(Activate(Activation::kGelu, 1), 0.8413447461, 1e-10);
  EXPECT_NEAR(Activate(Activation::kGelu, -2), -2 * 0.0227501319, 1e-9);
  EXPECT_NEAR(Activate(Activation::kGeluTanh, 1),
              0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * 1.044715)), 1e-12);
  EXPECT_EQ(Activate(Activation::kRelu, -1), 0);
  EXPECT_EQ(Activate(Activation::kNone, -1), -1);
}

}  // namespace
}  // namespace dyad::kernels::reference
