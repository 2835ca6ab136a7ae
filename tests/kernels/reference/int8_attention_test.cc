// The definition of attention over int8, on cases worked by hand.
#include "kernels/reference/int8_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace dyad::kernels::reference {
namespace {

const AttentionShape kShape = {.heads = 1, .head_size = 2, .scale = 1, .rotary_size = 0};

TEST(AttendInt8Test, OneTokenGetsItsValueInEightBits) {
  // 1 is 127 of 127; 0.5 lies between 63 and 64, and the even one is 64.
  const std::vector<float> out =
      AttendInt8(kShape, std::vector<float>{1, 2}, {{{3, 4}}}, {{{1, 0.5f}}});
  EXPECT_NEAR(out[0], 1, 1e-4);  // the weight has 16 bits
  EXPECT_NEAR(out[1], 64.0 / 127, 1e-4);
}

// Scores 0 and ln 3: weights 1/4 and 3/4.
TEST(AttendInt8Test, WeighsByTheSoftmaxOfPastScores) {
  const std::vector<float> out = AttendInt8(kShape, std::vector<float>{1, 0},
                                            {{{0, 0}, {std::log(3.0f), 0}}}, {{{8, 8}, {4, -4}}});
  EXPECT_NEAR(out[0], 0.25 * 8 + 0.75 * 4, 1e-3);
  EXPECT_NEAR(out[1], 0.25 * 8 - 0.75 * 4, 1e-3);
}

TEST(AttendInt8Test, ANumberThatIsNoneLeavesNone) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::vector<float>> good = {{1, 2}, {3, 4}}, bad = {{1, 2}, {infinity, 4}};
  const std::vector<float> query = {1, 1};
  EXPECT_FALSE(std::isnan(AttendInt8(kShape, query, good, good)[0]));
  EXPECT_TRUE(std::isnan(AttendInt8(kShape, query, bad, good)[1]));
  EXPECT_TRUE(std::isnan(AttendInt8(kShape, query, good, bad)[1]));
  EXPECT_TRUE(std::isnan(AttendInt8(kShape, std::vector<float>{NAN, 1}, good, good)[1]));
}

}  // namespace
}  // namespace dyad::kernels::reference
