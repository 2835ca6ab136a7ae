// The bfloat16 arithmetic by its definition.
#include "kernels/reference/bfloat16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/bfloat16.h"

namespace dyad::kernels::reference {
namespace {

float Sum(const std::vector<float>& w, const std::vector<float>& x, float start) {
  return AddBfloat16Term(w, x, start);
}

TEST(Bfloat16TermTest, TakesTheOddOneOfAPairFirst) {
  // 2^60 takes the one away: whatever is added before it is lost.
  EXPECT_EQ(Sum({1, 1}, {-0x1p60f, 0x1p60f}, 1), 0);
  EXPECT_EQ(Sum({1, 1}, {1, 0x1p60f}, -0x1p60f), 1);
  EXPECT_EQ(Sum({1, 1}, {0x1p60f, 1}, -0x1p60f), 0);
  EXPECT_EQ(Sum({1, 1, 1, 1}, {0, 0x1p60f, -0x1p60f, 1}, 0), 0) << "pair by pair";
}

TEST(Bfloat16TermTest, RoundsActivationsToNearestAndTiesToEven) {
  EXPECT_EQ(Sum({1}, {1 + 0x1p-8f}, 0), 1);
  EXPECT_EQ(Sum({1}, {1 + 0x1.8p-8f}, 0), 1 + 0x1p-7f);
  EXPECT_EQ(Sum({1}, {1 + 0x3p-8f}, 0), 1 + 0x1p-6f);
  EXPECT_EQ(Sum({1}, {std::numeric_limits<float>::max()}, 0),
            std::numeric_limits<float>::infinity());
}

TEST(Bfloat16TermTest, AnOddLastOneHasAPartnerOfZeros) {
  EXPECT_FALSE(std::signbit(Sum({-1}, {0}, -0.0f))) << "-0 + 0 · 0 = +0, + -1 · 0 = +0";
  EXPECT_TRUE(std::signbit(Sum({-1, -1}, {0, 0}, -0.0f)));
}

TEST(Bfloat16TermTest, DenormalsAreZerosOfTheirSign) {
  const float denormal = 0x1p-127f;
  EXPECT_EQ(Sum({1}, {denormal}, 0), 0) << "of x";
  EXPECT_EQ(Sum({1}, {0x1.fffffcp-127f}, 0), 0) << "not rounded up to 2^-126 before";
  EXPECT_EQ(Sum({denormal}, {0x1p20f}, 0), 0) << "of w";
  EXPECT_EQ(Sum({1}, {0}, denormal), 0) << "of the start";
  EXPECT_EQ(Sum({0x1p-64f}, {0x1p-63f}, 0), 0) << "of a result";
  EXPECT_TRUE(std::signbit(Sum({-1, -1}, {0, denormal}, -denormal)));
  EXPECT_TRUE(std::signbit(Sum({-0x1p-64f, -1}, {0x1p-63f, 0}, -0.0f)));
  EXPECT_EQ(Sum({0x1p-63f}, {0x1p-63f}, 0), 0x1p-126f);
}

// 2^-126 − 2^-150 has 24 bits and is denormal; 2^-126 − 2^-152 rounds to 2^-126 with 24 bits.
TEST(Bfloat16TermTest, AResultIsDenormalAfterRoundingTo24Bits) {
  EXPECT_EQ(Sum({-0x1p-75f}, {0x1p-75f}, 0x1p-126f), 0);
  EXPECT_EQ(Sum({-0x1p-75f}, {0x1p-76f}, 0x1p-126f), 0x1p-126f) << "a tie, to even";
  EXPECT_EQ(Sum({-0x1p-75f}, {0x1.02p-76f}, 0x1p-126f), 0) << "just under the tie";
  EXPECT_EQ(Sum({-0x1p-76f}, {0x1p-76f}, 0x1p-126f), 0x1p-126f);
  EXPECT_TRUE(std::signbit(Sum({0x1p-75f, 1}, {0x1p-75f, -0.0f}, -0x1p-126f)));
}

TEST(Bfloat16TermTest, InfinityAndNanGoOn) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(Sum({1, 2}, {infinity, 1}, 0), infinity);
  EXPECT_TRUE(std::isnan(Sum({1, 0}, {1, infinity}, 0)));
  EXPECT_TRUE(std::isnan(Sum({1}, {std::numeric_limits<float>::quiet_NaN()}, 0)));
}

}  // namespace
}  // namespace dyad::kernels::reference
