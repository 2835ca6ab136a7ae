// The definitions of log-sum-exp, rank and top, on cases worked by hand.
#include "kernels/reference/score.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dyad::kernels::reference {
namespace {

TEST(ReferenceScoreTest, LogSumExpOfLogarithms) {
  const std::vector<double> logits = {std::log(1.0), std::log(2.0), std::log(5.0)};
  EXPECT_NEAR(LogSumExp(logits), std::log(8.0), 1e-15);
}

TEST(ReferenceScoreTest, LogSumExpDoesNotOverflow) {
  EXPECT_NEAR(LogSumExp(std::vector<double>{5000, 5000}), 5000 + std::log(2.0), 1e-9);
}

TEST(ReferenceScoreTest, LogSumExpOfASetTakesItsIds) {
  const std::vector<double> logits = {std::log(1.0), std::log(2.0), std::log(5.0)};
  const std::vector<uint8_t> id_sets = {1, 2, 3};
  EXPECT_NEAR(LogSumExpOfSet(logits, id_sets, 1), std::log(6.0), 1e-15);
  EXPECT_NEAR(LogSumExpOfSet(logits, id_sets, 2), std::log(7.0), 1e-15);
  EXPECT_NEAR(LogSumExpOfSet(logits, id_sets, 3), std::log(8.0), 1e-15);
  EXPECT_EQ(LogSumExpOfSet(logits, id_sets, 4), -HUGE_VAL);
}

TEST(ReferenceScoreTest, RanksEqualLogitsByLowerId) {
  const std::vector<double> logits = {1, 7, 3, 7};
  EXPECT_EQ(Rank(logits, 1), 1);
  EXPECT_EQ(Rank(logits, 3), 2);
  EXPECT_EQ(Rank(logits, 2), 3);
  EXPECT_EQ(Rank(logits, 0), 4);
}

TEST(ReferenceScoreTest, TopIsInRankOrderAndNoLongerThanTheVocabulary) {
  const std::vector<double> logits = {1, 7, 3, 7};
  EXPECT_EQ(Top(logits, 3), (std::vector<int64_t>{1, 3, 2}));
  EXPECT_EQ(Top(logits, 9).size(), 4u);
  EXPECT_TRUE(Top(logits, 0).empty());
}

}  // namespace
}  // namespace dyad::kernels::reference
