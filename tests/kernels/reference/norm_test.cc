// By hand.
#include "kernels/reference/norm.h"

#include <cmath>

#include "gtest/gtest.h"

namespace dyad::kernels::reference {
namespace {

TEST(ReferenceNormTest, TwoFeaturesByHand) {
  const std::vector<float> x = {1, 5}, weight = {2, 3}, bias = {10, -20};
  const NormResult result = Normalize(x, weight, bias, 0);  // mean 3, variance 4
  EXPECT_DOUBLE_EQ(result.y[0], -2 + 10);
  EXPECT_DOUBLE_EQ(result.y[1], 3 - 20);
  EXPECT_DOUBLE_EQ(result.magnitude[0], 2 + 10);
  EXPECT_DOUBLE_EQ(result.magnitude[1], 3 + 20);
}

TEST(ReferenceNormTest, EpsilonStandsUnderTheRoot) {
  const std::vector<float> x = {1, 5};
  EXPECT_DOUBLE_EQ(Normalize(x, {}, {}, 12).y[1], 2 / std::sqrt(16.0));
}

}  // namespace
}  // namespace dyad::kernels::reference
