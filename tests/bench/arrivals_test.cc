// Both kinds of arrival, cranked by hand.
#include "tests/bench/arrivals.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace dyad::bench {
namespace {

std::vector<double> AllDue(const ArrivalOptions& options) {
  Arrivals arrivals(options);
  std::vector<double> due;
  while (const auto arrival = arrivals.Next(0)) {
    EXPECT_EQ(arrival->number, static_cast<int64_t>(due.size()));
    due.push_back(arrival->due);
  }
  return due;
}

TEST(ArrivalsTest, ClosedLoopIsDueAtOnceUntilTheTimeIsUp) {
  Arrivals arrivals({.rate = {}, .requests = {}, .duration = 2, .seed = 1});
  EXPECT_EQ(arrivals.Next(0.5)->due, 0.5);
  EXPECT_EQ(arrivals.Next(1.9)->number, 1);
  EXPECT_FALSE(arrivals.Next(2.0).has_value());
}

TEST(ArrivalsTest, ANumberOfRequestsIsExactWhateverTheDuration) {
  EXPECT_EQ(AllDue({.rate = {}, .requests = 7, .duration = 0, .seed = 1}).size(), 7u);
  EXPECT_EQ(AllDue({.rate = 10, .requests = 7, .duration = 0, .seed = 1}).size(), 7u);
}

TEST(ArrivalsTest, OpenLoopIsAPoissonProcessOfTheRate) {
  constexpr int64_t kCount = 20000;
  const std::vector<double> due =
      AllDue({.rate = 50, .requests = kCount, .duration = 0, .seed = 3});
  double last = 0, sum = 0, squares = 0;
  for (const double time : due) {
    const double gap = (time - last) * 50;  // exponential: mean 1, variance 1
    EXPECT_GE(gap, 0);
    sum += gap;
    squares += gap * gap;
    last = time;
  }
  const double mean = sum / kCount, variance = squares / kCount - mean * mean;
  EXPECT_NEAR(mean, 1, 5 / std::sqrt(kCount));  // five standard errors
  EXPECT_NEAR(variance, 1, 5 * std::sqrt(8.0 / kCount));
}

TEST(ArrivalsTest, OpenLoopEndsWithTheDurationAndFollowsTheSeed) {
  const ArrivalOptions options = {.rate = 100, .requests = {}, .duration = 3, .seed = 5};
  const std::vector<double> due = AllDue(options);
  EXPECT_GT(due.size(), 200u);
  EXPECT_LT(due.size(), 400u);
  EXPECT_LT(due.back(), 3);
  EXPECT_EQ(due, AllDue(options));
  ArrivalOptions other = options;
  other.seed = 6;
  EXPECT_NE(due, AllDue(other));
}

}  // namespace
}  // namespace dyad::bench
