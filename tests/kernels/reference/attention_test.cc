// The definition of attention, on cases worked by hand.
#include "kernels/reference/attention.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dyad::kernels::reference {
namespace {

// Per token q, k, v of one dimension. Scores of token 1: 0 and ln 3, so weights 1/4 and 3/4.
TEST(ReferenceAttentionTest, WeighsByTheSoftmaxOfPastScores) {
  const std::vector<float> rows = {1, 0, 8, 1, std::log(3.0f), 4};
  const AttentionShape shape = {.heads = 1, .head_size = 1, .scale = 1, .rotary_size = 0};
  const AttentionResult result =
      Attention(shape, {}, 2, {{rows.data(), 3}, {rows.data() + 1, 3}, {rows.data() + 2, 3}, 1});
  EXPECT_EQ(result.out[0], 8);  // the first token sees itself only
  EXPECT_NEAR(result.out[1], 0.25 * 8 + 0.75 * 4, 1e-7);
  EXPECT_NEAR(result.magnitude[1], 5, 1e-7);
  EXPECT_NEAR(result.score[1], std::log(3.0), 1e-7);
}

// A quarter turn of (x, y) is (-y, x): after it, k = (a, b) against q = (1, 0) in place scores -b,
// and the third dimension does not turn.
TEST(ReferenceAttentionTest, TurnsTheFirstHalfWithTheSecond) {
  const AttentionShape shape = {.heads = 1, .head_size = 3, .scale = 1, .rotary_size = 2};
  const std::vector<float> cos = {0, 1}, sin = {1, 0};  // position 0 turns, position 1 does not
  const std::vector<float> q = {0, 0, 0, 1, 0, 1}, k = {5, -2, 0.5f, 0, 0, 0};
  const std::vector<float> v = {1, 0, 0, 0, 0, 0};
  const AttentionResult result =
      Attention(shape, {cos, sin}, 2, {{q.data(), 3}, {k.data(), 3}, {v.data(), 3}, 3});
  const double weight = std::exp(2 + 0.5);
  EXPECT_NEAR(result.out[3], weight / (weight + 1), 1e-12);
}

TEST(ReferenceAttentionTest, RoundsToEightBitsWithTiesToEven) {
  EXPECT_EQ(RoundedToBfloat16(0), 0);
  EXPECT_EQ(RoundedToBfloat16(1 + 1.0 / 256), 1);
  EXPECT_EQ(RoundedToBfloat16(1 + 3.0 / 256), 1 + 4.0 / 256);
  EXPECT_EQ(RoundedToBfloat16(-1 - 2.9 / 256), -1 - 2.0 / 256);
  EXPECT_EQ(RoundedToBfloat16(255.5), 256);
}

}  // namespace
}  // namespace dyad::kernels::reference
