// A list worked by hand. Its bits are random_plan_test.cc's.
#include "kernels/cpu/block_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

using ::testing::ElementsAre;

// y[1] = 1 · x[3] + 10 · x[0], y[2] = 100 · x[3] + 1000 · x[0]: a window that wraps.
TEST(BlockListTest, AWindowThatWrapsIsTwoRanges) {
  const std::vector<float> weights = {1, 100, 10, 1000};
  BlockList step;
  step.ranges = {{3, 1}, {0, 1}};
  step.places = {{.first = 1, .outputs = 2, .first_range = 0, .ranges = 2, .weight = 0}};
  step.weights = {weights.data(), 4, Element::kFloat32, 0, 1, 2};
  Plan plan;
  plan.widths = {4, 4};
  plan.steps = {step};
  ASSERT_EQ(Check(plan), "");
  PackedBlockList packed = PackBlockList(step, plan);
  EXPECT_EQ(packed.multiply_adds(), 2 * 32);
  EXPECT_EQ(packed.weight_bytes(), 2 * 32 * 4);
  const std::vector<float> x = {1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<float> y(8, 0.5f);
  Workspace workspace(PoolOf(2));
  packed.SetCombine(Combine::kAccumulate);
  RunBlockList(packed, 2, {x.data(), 4}, {y.data(), 4}, workspace);
  EXPECT_THAT(y, ElementsAre(0.5f, 14.5f, 1400.5f, 0.5f, 0.5f, 58.5f, 5800.5f, 0.5f));
  packed.SetCombine(Combine::kAssign);
  RunBlockList(packed, 1, {x.data(), 4}, {y.data(), 4}, workspace);
  EXPECT_THAT(std::vector(y.begin(), y.begin() + 4), ElementsAre(0.5f, 14, 1400, 0.5f));
}

}  // namespace
}  // namespace dyad::kernels
