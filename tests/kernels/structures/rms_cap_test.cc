// Caps worked by hand.
#include "kernels/structures/rms_cap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dyad::kernels {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;

// rms = 5 / √2 of {3, 4}… with cap √min(4, 9) / 4 = 0.5.
TEST(RmsCapTest, ShrinksWhatIsAboveTheCapAndLeavesTheRest) {
  const std::vector<float> large = {1, 7}, small = {0.1f, -0.3f}, two = {2};
  const auto leaf = [](const std::vector<float>& values) {
    return Leaf{.name = "", .shape = {static_cast<int64_t>(values.size())}, .data = values.data()};
  };
  const Leaf gamma = leaf(two);
  const RmsCap cap = {4, 9, 0};
  EXPECT_THAT(Capped(leaf(large), cap, nullptr), ElementsAre(0.1f, 0.7f));  // rms 5
  EXPECT_THAT(Capped(leaf(large), cap, &gamma), ElementsAre(0.2f, 1.4f));
  EXPECT_THAT(Capped(leaf(small), cap, nullptr), ElementsAre(0.1f, -0.3f));
  EXPECT_THAT(Capped(leaf(large), std::nullopt, &gamma), ElementsAre(2, 14));
  EXPECT_THAT(Capped(leaf(small), RmsCap{4, 9, 0.95}, nullptr),
              ElementsAre(FloatNear(0.05f, 1e-7f), FloatNear(-0.15f, 1e-7f)));  // √(.05 + .95) = 1
}

}  // namespace
}  // namespace dyad::kernels
