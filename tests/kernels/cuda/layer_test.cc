// Layers on the device have the bits of the chain, in every tile and for every type of weights.
#include "kernels/cuda/layer.h"

#include <gtest/gtest.h>

#include "kernels/reference/plan.h"
#include "tests/kernels/cuda/every_tile.h"
#include "tests/kernels/cuda/twin_devices.h"
#include "tests/kernels/random_plan.h"
#include "tests/support/sanitized.h"

namespace dyad::kernels::cuda {
namespace {

// Of `plan` for these rows, as the device computes it.
std::vector<float> Found(Device& device, const Plan& plan, const std::vector<float>& x,
                         const Finishing& finishing = {}) {
  const auto layer = device.Pack(plan);
  const int64_t rows = std::ssize(x) / plan.in_features();
  const Matrix from = device.Allocate(rows, plan.in_features());
  const Matrix y = device.Allocate(rows, plan.out_features());
  device.Write(from, x);
  device.Apply(from, {{layer.get(), y}}, finishing);
  return device.Read(y);
}

TEST(CudaLayerTest, RandomPlansHaveTheBitsOfTheChain) {
  const uint32_t plans = testing::kSanitized ? 40 : 400;
  const int64_t counts[] = {1, 2, 3, 5, 7, 9, 16, 17, 33};
  const auto device = MakeCuda(2);
  for (uint32_t seed = 1; seed <= plans; ++seed) {
    RandomPlan random(seed, PlanSize::kSmall, PlanSteps::kContractions);
    const Plan& plan = random.plan();
    const int64_t rows = counts[seed % std::size(counts)];
    const std::vector<float> x = random.Floats(rows * plan.in_features());
    const std::vector<float> expected =
        reference::Chain(plan, rows, {x.data(), plan.in_features()});
    ASSERT_EQ(FirstDifferent(Found(*device, plan, x), expected), -1) << "seed " << seed;
  }
}

// Depths around a vector, a slice, a stage of x; outputs around a panel, a tile.
TEST(CudaLayerTest, AwkwardSizesHaveTheBitsOfTheChain) {
  const auto device = MakeCuda();
  for (const Element type :
       {Element::kFloat32, Element::kBfloat16, Element::kFloat16, Element::kInt8}) {
    for (const auto& [in, out, rows] : std::vector<std::array<int64_t, 3>>{{1, 1, 1},
                                                                           {33, 31, 3},
                                                                           {127, 129, 2},
                                                                           {385, 33, 1},
                                                                           {1040, 32, 8},
                                                                           {515, 140, 18},
                                                                           {16, 127, 130}}) {
      const std::vector<std::byte> weights = RandomWeights(in * out, type, 3);
      const Element stored = type == Element::kInt8 ? Element::kFloat32 : type;
      Plan plan = DensePlan(in, out, {weights.data(), stored}, RandomFloats(out, 4));
      plan.type = type;
      const std::vector<float> x = RandomFloats(rows * in, 5);
      EXPECT_EQ(
          FirstDifferent(Found(*device, plan, x), reference::Chain(plan, rows, {x.data(), in})), -1)
          << in << " to " << out << ", " << rows << " rows, type " << static_cast<int>(type);
    }
  }
}

TEST(CudaLayerTest, EveryTileHasTheBitsOfTheChain) { ExpectTheChainInEveryTile(); }

TEST(CudaLayerTest, ARowAloneHasTheBitsThatItHasAmongMany) {
  const auto device = MakeCuda();
  const SampleLayer sample({Kind::kTwoTerms, 4, 96, 80}, Element::kBfloat16);
  const Plan plan = sample.plan();
  const std::vector<float> x = RandomFloats(40 * plan.in_features(), 9);
  const std::vector<float> all = Found(*device, plan, x);
  for (const int64_t row : {0, 17, 39}) {
    const auto begin = x.begin() + row * plan.in_features();
    const std::vector<float> alone = Found(*device, plan, {begin, begin + plan.in_features()});
    const auto same = std::span(all).subspan(static_cast<size_t>(row * plan.out_features()),
                                             static_cast<size_t>(plan.out_features()));
    EXPECT_EQ(FirstDifferent(alone, same), -1) << row;
  }
}

// Activations and a residual that is y itself, with one step and with two.
TEST(CudaLayerTest, FinishesAsTheCpuDoes) {
  const TwinDevices twins;
  for (const Kind kind : {Kind::kTwoTerms, Kind::kTwoSteps, Kind::kTwoViews}) {
    const SampleLayer sample({kind, 3, 48, 36}, Element::kFloat32);
    for (const Activation activation :
         {Activation::kNone, Activation::kRelu, Activation::kGelu, Activation::kGeluTanh}) {
      twins.ExpectSame([&](Device& device) {
        const auto layer = device.Pack(sample.plan());
        const Matrix x = Filled(device, 5, layer->in_features(), 1);
        const Matrix y = Filled(device, 5, layer->out_features(), 2);
        device.Apply(x, {{layer.get(), y}}, {.activation = activation, .residual = y});
        return device.Read(y);
      });
    }
  }
}

TEST(CudaLayerTest, CountsWhatItKeeps) {
  const auto device = MakeCuda();
  const std::vector<float> weights(33 * 40, 0.5f);
  const auto layer = device->Pack(DensePlan(40, 33, {weights.data(), Element::kFloat32}));
  EXPECT_EQ(layer->in_features(), 40);
  EXPECT_EQ(layer->out_features(), 33);
  EXPECT_EQ(layer->multiply_adds(), 40 * 33);
  EXPECT_EQ(layer->weight_bytes(), 2 * 32 * 40 * 4);  // two panels
}

}  // namespace
}  // namespace dyad::kernels::cuda
