// Against values that plain Python computes: exact binomials of whole numbers, and the bootstrap
// with Philox written out in it (tests/end_to_end/evaluate_test.py has that code, too).
#include "client/statistics.h"

#include <algorithm>
#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;

TEST(StatisticsTest, WilsonsInterval) {
  const struct {
    double successes;
    int64_t n;
    double low, high;
  } rows[] = {{5, 10, 0.236593090512564, 0.763406909487436},
              {3, 3, 0.4385029682449545, 1},
              {0, 1, 0, 0.7934506856227626},
              {56950, 67000, 0.847276191543651, 0.8526836761129499}};
  for (const auto& row : rows) {
    const Interval interval = WilsonInterval(row.successes, row.n);
    EXPECT_NEAR(interval.low, row.low, 1e-14);
    EXPECT_NEAR(interval.high, row.high, 1e-14);
  }
}

TEST(StatisticsTest, TheBootstrapIsTheSameOnEveryMachineAndInEveryOrder) {
  const std::vector<Stratum> strata = {{{1, 0, 1, 1, 0.5}, 0.5}, {{0, 1, 1}, 0.5}};
  EXPECT_NEAR(WeightedMean(strata), 0.5 * 0.7 + 0.5 * 2 / 3, 1e-15);
  const Interval interval = BootstrapInterval(strata);
  EXPECT_NEAR(interval.low, 0.35, 1e-15);
  EXPECT_NEAR(interval.high, 1, 1e-15);
  const Interval other = BootstrapInterval({{{0.5, 1, 1, 0, 1}, 0.5}, {{1, 1, 0}, 0.5}});
  EXPECT_EQ(other.low, interval.low);
  EXPECT_EQ(other.high, interval.high);
  const Interval one = BootstrapInterval({{{1, 1, 1, 1, 1, 1, 1, 0, 0, 0}, 1}});
  EXPECT_NEAR(one.low, 0.4, 1e-15);
  EXPECT_NEAR(one.high, 1, 1e-15);
  // 670,000 items: the normal distribution's 1.96 standard errors.
  std::vector<double> scores(670'000, 0.0);
  std::fill_n(scores.begin(), 201'000, 1.0);
  std::fill_n(scores.begin() + 201'000, 67'000, 0.5);
  const Interval many = BootstrapInterval({{scores, 1}});
  const double error = 1.96 * std::sqrt((0.3 + 0.1 / 4 - 0.35 * 0.35) / 670'000);
  EXPECT_NEAR(many.low, 0.35 - error, 0.05 * error);
  EXPECT_NEAR(many.high, 0.35 + error, 0.05 * error);
  const Interval certain = BootstrapInterval({{{1, 1}, 1}});
  EXPECT_EQ(certain.low, 1);
  EXPECT_EQ(certain.high, 1);
}

TEST(StatisticsTest, SpearmanTakesMeanRanksOnTies) {
  EXPECT_NEAR(SpearmanCorrelation({1, 2, 3, 4}, {10, 20, 30, 25}), 0.8, 1e-15);
  EXPECT_NEAR(SpearmanCorrelation({1, 2, 3}, {3, 2, 1}), -1, 1e-15);
  // Ranks 1, 2.5, 2.5, 4 and 1.5, 1.5, 3, 4: 3.75 / sqrt(4.5 · 4.5).
  EXPECT_NEAR(SpearmanCorrelation({1, 2, 2, 3}, {5, 5, 6, 7}), 3.75 / 4.5, 1e-15);
  EXPECT_TRUE(std::isnan(SpearmanCorrelation({1, 1}, {1, 2})));
  EXPECT_TRUE(std::isnan(SpearmanCorrelation({}, {})));
}

TEST(StatisticsTest, McNemarIsExact) {
  const struct {
    int64_t b, c;
    double p;
  } rows[] = {{0, 0, 1},
              {1, 0, 1},
              {0, 5, 0.0625},
              {3, 9, 0.14599609375},
              {10, 10, 1},
              {40, 80, 0.0003304000183913207},
              {4000, 4200, 0.027972423571324383}};
  for (const auto& row : rows) EXPECT_NEAR(McNemarP(row.b, row.c), row.p, 1e-9 * row.p);
}

TEST(StatisticsTest, HolmsStepsNeverGoDown) {
  EXPECT_THAT(HolmAdjusted({0.01, 0.04, 0.03, 0.005}),
              ElementsAre(::testing::DoubleNear(0.03, 1e-15), ::testing::DoubleNear(0.06, 1e-15),
                          ::testing::DoubleNear(0.06, 1e-15), ::testing::DoubleNear(0.02, 1e-15)));
  EXPECT_THAT(HolmAdjusted({0.6, 0.7}), ElementsAre(1, 1));
  EXPECT_THAT(HolmAdjusted({}), ElementsAre());
}

}  // namespace
}  // namespace dyad::client
