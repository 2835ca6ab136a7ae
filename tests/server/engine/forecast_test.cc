// Forecasts follow what was measured; hints stay within their bounds.
#include "server/engine/forecast.h"

#include "gtest/gtest.h"

namespace dyad::engine {
namespace {

StepLoad Saturated(int64_t rows) { return {.rows = rows, .sequences = 8, .waiting = 1}; }

QueuedWork Ids(int64_t tokens) { return {1, tokens, 0}; }

StepLoad Runs(int32_t sequences, int32_t more = 0) {
  return {.rows = sequences + more, .sequences = sequences, .waiting = 0};
}

double Seconds(absl::Duration duration) { return absl::ToDoubleSeconds(duration); }

TEST(ForecastTest, TheHintIsASecondBeforeAnythingWasMeasured) {
  EXPECT_EQ(Forecast().RetryAfter(Ids(1'000'000)), absl::Seconds(1));
}

TEST(ForecastTest, DividesTheQueueByTheMeasuredRate) {
  Forecast forecast;
  for (int i = 0; i < 10; ++i) forecast.OnStep(Saturated(100), absl::Milliseconds(100));
  EXPECT_NEAR(Seconds(forecast.RetryAfter(Ids(3000))), 3.0, 0.1);
  EXPECT_NEAR(Seconds(forecast.RetryAfter(Ids(300))), 0.3, 0.01);
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
  forecast.OnStep({.rows = 0, .sequences = 0, .waiting = 1}, absl::Seconds(1));
  EXPECT_EQ(forecast.RetryAfter(Ids(10)), absl::Seconds(60));
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
  EXPECT_EQ(forecast.RetryAfter(Ids(1000)), absl::Seconds(1));
}

// 10 ms, 2 ms for each that runs and 0.1 ms for each row of a prompt.
TEST(ForecastTest, TellsWhatPromptsCostFromWhatSequencesCost) {
  Forecast forecast;
  EXPECT_EQ(forecast.StepTime(10, 0), absl::ZeroDuration());
  for (int i = 0; i < 1000; ++i) {
    const int32_t sequences = i % 10 == 0 ? 104 : 4;
    const int32_t more = i % 33 == 1 ? 500 : 0;
    forecast.OnStep(Runs(sequences, more),
                    absl::Microseconds(10'000 + 2000 * sequences + 100 * more));
  }
  const double light = Seconds(forecast.StepTime(4, 0));
  EXPECT_NEAR(light, 0.018, 0.002);
  EXPECT_NEAR((Seconds(forecast.StepTime(104, 0)) - light) / 100, 0.002, 0.0002);
  EXPECT_NEAR((Seconds(forecast.StepTime(4, 500)) - light) / 500, 0.0001, 0.00005);
  EXPECT_NEAR(forecast.MoreRows(), 15, 5);
}

TEST(ForecastTest, GrowsWithTheRowsWhereAllStepsHadEquallyMany) {
  Forecast forecast;
  for (int i = 0; i < 100; ++i) forecast.OnStep(Runs(8), absl::Milliseconds(40));
  EXPECT_NEAR(Seconds(forecast.StepTime(8, 0)), 0.040, 0.001);
  EXPECT_NEAR(Seconds(forecast.StepTime(32, 0)), 0.160, 0.001);
  EXPECT_NEAR(Seconds(forecast.StepTime(8, 24)), 0.160, 0.001);
}

// Other work on the machine: while steps grow, every second one takes twice as long.
TEST(ForecastTest, SingleSlowStepsDoNotTurnTheSlope) {
  Forecast forecast;
  for (int32_t i = 0; i < 60; ++i) {
    forecast.OnStep(Runs(30 + i), absl::Milliseconds((30 + i) * (i % 2 == 0 ? 1 : 2)));
  }
  EXPECT_GT(forecast.StepTime(150, 0), absl::Milliseconds(180));
  EXPECT_LT(forecast.StepTime(150, 0), absl::Milliseconds(270));
}

TEST(ForecastTest, NeverFallsBelowZero) {
  Forecast forecast;
  for (int i = 0; i < 100; ++i) {
    forecast.OnStep(Runs(1 + i % 2 * 99), absl::Milliseconds(i % 2 ? 1 : 100));
  }
  EXPECT_GE(forecast.StepTime(1000, 500), absl::ZeroDuration());
}

TEST(ForecastTest, CountsTheTokensThatSequencesReallyGenerate) {
  Forecast forecast;
  forecast.OnStep(Saturated(8), absl::Seconds(1));
  EXPECT_NEAR(Seconds(forecast.TimeToRun({1, 0, 100}, 7, 512)), 100, 0.1);
  for (int i = 0; i < 50; ++i) forecast.OnGenerated(10, 40);
  EXPECT_NEAR(Seconds(forecast.TimeToRun({1, 0, 100}, 7, 512)), 25, 0.1);
  EXPECT_NEAR(Seconds(forecast.RetryAfter({1, 15, 100})), 5, 0.1);
}

// 100 rows of a prompt in steps of 10 rows, 2 of which are of others.
TEST(ForecastTest, APromptTakesTheRowsThatOthersLeave) {
  Forecast forecast;
  for (int i = 0; i < 10; ++i) forecast.OnStep(Runs(3, 7), absl::Seconds(1));
  EXPECT_NEAR(Seconds(forecast.TimeToRun({1, 100, 0}, 2, 10)), 12.5, 0.01);
}

}  // namespace
}  // namespace dyad::engine
