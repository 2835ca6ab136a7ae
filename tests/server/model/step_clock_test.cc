// Parts of a step add up.
#include "server/model/step_clock.h"

#include <gtest/gtest.h>

#include <thread>

namespace dyad {
namespace {

using engine::StepPart;

TEST(StepClockTest, GivesTheTimeSinceTheLastMarkToThePart) {
  StepClock clock;
  clock.Start();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  clock.Mark(StepPart::kNorm);
  clock.Mark(StepPart::kHead);
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  clock.Mark(StepPart::kNorm);
  engine::StepTimes times = clock.times();
  EXPECT_GE(times[StepPart::kNorm], 4e-3);
  EXPECT_GE(times[StepPart::kHead], 0);
  EXPECT_EQ(times[StepPart::kAttention], 0);
}

TEST(StepClockTest, StartForgetsTheStepBefore) {
  StepClock clock;
  clock.Start();
  clock.Mark(StepPart::kNorm);
  clock.Start();
  engine::StepTimes times = clock.times();
  EXPECT_EQ(times[StepPart::kNorm], 0);
}

}  // namespace
}  // namespace dyad
