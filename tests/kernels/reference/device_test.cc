// What the definition stores, by hand where it is not one call of another definition.
#include "kernels/reference/device.h"

#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/step_arrays.h"

namespace dyad::kernels::reference {
namespace {

using ::testing::ElementsAre;

TEST(ReferenceDeviceTest, MatricesHoldWhatIsWrittenAndViewsArePartsOfThem) {
  ReferenceDevice device;
  const Matrix whole = device.Allocate(2, 3);
  EXPECT_TRUE(std::isnan(device.Read(whole)[0]));
  device.Write(whole, std::vector<float>{1, 2, 3, 4, 5, 6});
  EXPECT_THAT(device.Read(whole.FromColumn(1)), ElementsAre(2, 3, 5, 6));
  EXPECT_THAT(device.Read(whole.FirstRows(1)), ElementsAre(1, 2, 3));
  EXPECT_THAT(device.Magnitudes(whole.FirstRows(1)), ElementsAre(1, 2, 3));
}

TEST(ReferenceDeviceTest, ALayerAddsTheResidualAndTellsMagnitudes) {
  ReferenceDevice device;
  std::vector<float> weights = {1, -2};
  const auto layer = device.Pack(DensePlan(2, 1, {weights.data(), Element::kFloat32}, {0.5f}));
  weights = {7, 7};  // the layer has a copy
  const Matrix x = device.Allocate(1, 2), y = device.Allocate(1, 1);
  device.Write(x, std::vector<float>{3, 5});
  device.Write(y, std::vector<float>{10});
  device.Apply(x, {{layer.get(), y}}, {.activation = Activation::kRelu, .residual = y});
  EXPECT_THAT(device.Read(y), ElementsAre(10));  // 3 - 10 + 0.5 is below 0
  EXPECT_THAT(device.Magnitudes(y), ElementsAre(3 + 10 + 0.5 + 10));
}

// A row sees its own and the one before, through pages in falling order.
TEST(ReferenceDeviceTest, AttendsToWhatIsStored) {
  ReferenceDevice device;
  ASSERT_EQ(device.MapKv({.shape = {.heads = 1, .head_size = 1, .scale = 1, .rotary_size = 0},
                          .layers = 1,
                          .pages = 2,
                          .cos = {},
                          .sin = {}}),
            "");
  const std::vector<int32_t> pages = {1, 0};
  const auto attend = [&](int32_t position, std::vector<float> q, std::vector<float> k,
                          std::vector<float> v) {
    StepArrays step;
    step.AddChunk({0, static_cast<int32_t>(q.size()), position, pages});
    const StepInput input = step.view();
    device.Begin(input);
    const auto rows = static_cast<int64_t>(q.size());
    const Qkv qkv = {device.Allocate(rows, 1), device.Allocate(rows, 1), device.Allocate(rows, 1),
                     1};
    device.Write(qkv.q, q), device.Write(qkv.k, k), device.Write(qkv.v, v);
    const Matrix out = device.Allocate(rows, 1);
    device.Attend(0, qkv, out);
    return device.Read(out);
  };
  const auto first = attend(0, {0, 1}, {0, std::log(3.0f)}, {8, 4});
  EXPECT_EQ(first[0], 8);
  EXPECT_NEAR(first[1], 8 * 0.25 + 4 * 0.75, 1e-6);
  const auto second = attend(2, {0}, {5}, {0});
  EXPECT_NEAR(second[0], (8 + 4 + 0) / 3.0, 1e-6);
}

}  // namespace
}  // namespace dyad::kernels::reference
