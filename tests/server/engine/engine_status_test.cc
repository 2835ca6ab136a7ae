// The rule of a stall as a table.
#include "server/engine/engine_status.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dyad::engine {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kLimit = absl::Seconds(10);

TEST(StallReasonTest, AnEngineThatStepsOrRestsHasNone) {
  EngineStatus status;
  EXPECT_EQ(StallReason(status, kLimit), "");
  status.since_last_step = kLimit;
  status.failed_steps = 2;
  EXPECT_EQ(StallReason(status, kLimit), "");
}

TEST(StallReasonTest, PendingWorkWithoutAStep) {
  EngineStatus status;
  status.since_last_step = absl::Seconds(11);
  EXPECT_THAT(StallReason(status, kLimit), HasSubstr("no step has ended for 11 s"));
}

TEST(StallReasonTest, StepsThatFailOneAfterTheOther) {
  EngineStatus status;
  status.failed_steps = 3;
  EXPECT_THAT(StallReason(status, kLimit), HasSubstr("the last 3 steps failed"));
}

TEST(StallReasonTest, ADeviceThatIsLost) {
  EngineStatus status;
  status.lost = "launching a kernel: no";
  EXPECT_EQ(StallReason(status, kLimit), "the device is lost: launching a kernel: no");
}

}  // namespace
}  // namespace dyad::engine
