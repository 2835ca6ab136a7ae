// Forecasts follow what was measured; hints stay within their bounds.
#include "server/engine/forecast.h"

#include "gtest/gtest.h"

namespace dyad::engine {
namespace {

StepLoad Saturated(int64_t rows) { return {.rows = rows, .running = 8, .waiting = 1}; }

QueuedWork Ids(int64_t tokens) { return {1, tokens, 0}; }

StepLoad Runs(int32_t running) { return {.rows = 1, .running = running, .waiting = 0}; }

double Seconds(absl::Duration duration) { return absl::ToDoubleSeconds(duration); }

TEST(ForecastTest, TheHintIsASecondBeforeAnythingWasMeasured) {
  EXPECT_EQ(Forecast().RetryAfter(Ids(1'000'000)), absl::Seconds(1));
}

TEST(ForecastTest, DividesTheQueueByTheMeasuredRate) {
  Forecast forecast;
  for (int i = 0; i < 10; ++i) forecast.OnStep(Saturated(100), absl::Milliseconds(100));
  EXPECT_NEAR(Seconds(forecast.RetryAfter(Ids(3000))), 3.0, 0.1);
  EXPECT_NEAR(Seconds(forecast.TimeInQueue(Ids(300))), 0.3, 0.01);
}

TEST(ForecastTest, FollowsANewRate) {
  Forecast forecast;
  for (int i = 0; i < 100; ++i) forecast.OnStep(Saturated(100), absl::Seconds(1));
  for (int i = 0; i < 300; ++i) forecast.OnStep(Saturated(100), absl::Milliseconds(100));
  EXPECT_NEAR(Seconds(forecast.RetryAfter(Ids(5000))), 5.0, 0.5);
}

TEST(ForecastTest, HintsStayWithinTheirBounds) {
  Forecast forecast;
  forecast.OnStep(Saturated(1000), absl::Seconds(1));
  EXPECT_EQ(forecast.RetryAfter(Ids(0)), absl::Seconds(0.05));
  EXPECT_EQ(forecast.RetryAfter(Ids(int64_t{1} << 40)), absl::Seconds(60));
}

TEST(ForecastTest, IsTheMaximumWhenNothingLeavesTheQueue) {
  Forecast forecast;
  forecast.OnStep(Saturated(0), absl::Seconds(1));
  EXPECT_EQ(forecast.RetryAfter(Ids(10)), absl::Seconds(60));
  EXPECT_EQ(forecast.TimeInQueue(Ids(10)), absl::InfiniteDuration());
}

TEST(ForecastTest, AClockThatStepsBackIsNoTimeAtAll) {
  Forecast forecast;
  forecast.OnStep(Saturated(10), absl::Seconds(-5));
  EXPECT_EQ(forecast.RetryAfter(Ids(10)), absl::Seconds(1));
}

// Else a rest would look as if nothing could ever leave the queue.
TEST(ForecastTest, StepsThatLeaveNobodyWaitingSayNothingOfTheQueue) {
  Forecast forecast;
  for (int i = 0; i < 100; ++i) forecast.OnStep(Runs(1), absl::Seconds(1));
  EXPECT_EQ(forecast.TimeInQueue(Ids(1000)), absl::ZeroDuration());
}

TEST(ForecastTest, RunsAsLongAsItsStepsDoBesideTheOthers) {
  Forecast forecast;
  EXPECT_EQ(forecast.TimeToRun({1, 100}, 4), absl::ZeroDuration());
  // 10 ms and 2 ms for each that runs.
  for (int i = 0; i < 100; ++i) {
    const int32_t running = 1 + i % 10;
    forecast.OnStep(Runs(running), absl::Milliseconds(10 + 2 * running));
  }
  EXPECT_NEAR(Seconds(forecast.TimeToRun({0, 10}, 5)), 10 * 0.020, 0.001);
  EXPECT_NEAR(Seconds(forecast.TimeToRun({5, 10}, 50)), 15 * 0.110, 0.01);
}

TEST(ForecastTest, GrowsByTheRootWhereAllStepsRanEquallyMany) {
  Forecast forecast;
  for (int i = 0; i < 100; ++i) forecast.OnStep(Runs(8), absl::Milliseconds(40));
  EXPECT_NEAR(Seconds(forecast.TimeToRun({0, 10}, 8)), 0.4, 0.001);
  EXPECT_NEAR(Seconds(forecast.TimeToRun({0, 10}, 32)), 0.8, 0.001);
}

TEST(ForecastTest, CountsTheTokensThatSequencesReallyGenerate) {
  Forecast forecast;
  forecast.OnStep(Runs(1), absl::Seconds(1));
  EXPECT_NEAR(Seconds(forecast.TimeToRun({0, 100}, 1)), 100, 0.1);
  for (int i = 0; i < 50; ++i) forecast.OnGenerated(10, 40);
  EXPECT_NEAR(Seconds(forecast.TimeToRun({0, 100}, 1)), 25, 0.1);
  forecast.OnStep(Saturated(10), absl::Seconds(1));
  EXPECT_NEAR(Seconds(forecast.TimeInQueue({1, 5, 100})), 3, 0.1);
}

}  // namespace
}  // namespace dyad::engine
