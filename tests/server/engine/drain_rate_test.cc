// The hint follows what was measured, and stays within its bounds.
#include "server/engine/drain_rate.h"

#include "gtest/gtest.h"

namespace dyad::engine {
namespace {

TEST(DrainRateTest, IsASecondBeforeAnythingWasMeasured) {
  EXPECT_EQ(DrainRate().TimeToDrain(1'000'000), absl::Seconds(1));
}

TEST(DrainRateTest, DividesTheQueueByTheMeasuredRate) {
  DrainRate rate;
  for (int i = 0; i < 10; ++i) rate.OnStep(100, absl::Milliseconds(100));
  EXPECT_NEAR(absl::ToDoubleSeconds(rate.TimeToDrain(3000)), 3.0, 0.1);
}

TEST(DrainRateTest, FollowsANewRate) {
  DrainRate rate;
  for (int i = 0; i < 100; ++i) rate.OnStep(100, absl::Seconds(1));
  for (int i = 0; i < 300; ++i) rate.OnStep(100, absl::Milliseconds(100));
  EXPECT_NEAR(absl::ToDoubleSeconds(rate.TimeToDrain(5000)), 5.0, 0.5);
}

TEST(DrainRateTest, StaysWithinItsBounds) {
  DrainRate rate;
  rate.OnStep(1000, absl::Seconds(1));
  EXPECT_EQ(rate.TimeToDrain(0), absl::Seconds(0.05));
  EXPECT_EQ(rate.TimeToDrain(int64_t{1} << 40), absl::Seconds(60));
}

TEST(DrainRateTest, IsTheMaximumWhenNothingLeavesTheQueue) {
  DrainRate rate;
  rate.OnStep(0, absl::Seconds(1));
  EXPECT_EQ(rate.TimeToDrain(10), absl::Seconds(60));
  EXPECT_EQ(rate.TimeToDrain(0), absl::Seconds(60));
}

TEST(DrainRateTest, AClockThatStepsBackIsNoTimeAtAll) {
  DrainRate rate;
  rate.OnStep(10, absl::Seconds(-5));
  EXPECT_EQ(rate.TimeToDrain(10), absl::Seconds(1));
}

}  // namespace
}  // namespace dyad::engine
