// The rules of health as a table, and the watch with an engine that does what it is told.
#include "server/grpc/health.h"

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "server/base/mutex.h"
#include "tests/support/eventually.h"

namespace dyad {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(10);
constexpr ServingState kYes = ServingState::kServing;
constexpr ServingState kNo = ServingState::kNotServing;

using States = std::map<std::string, ServingState>;

TEST(JudgeHealthTest, AllServeWhileEnginesStep) {
  EXPECT_EQ(
      JudgeHealth(Phase::kServing, {{"a", ""}, {"b", ""}}),
      (States{{"", kYes}, {"liveness", kYes}, {"readiness", kYes}, {"a", kYes}, {"b", kYes}}));
}

TEST(JudgeHealthTest, StalledEngineTakesDownItsModelAndTheServerButNoOtherModel) {
  EXPECT_EQ(JudgeHealth(Phase::kServing, {{"a", ""}, {"b", "stuck"}}),
            (States{{"", kNo}, {"liveness", kNo}, {"readiness", kNo}, {"a", kYes}, {"b", kNo}}));
}

TEST(JudgeHealthTest, DrainingServerIsAliveAndNotReady) {
  EXPECT_EQ(JudgeHealth(Phase::kDraining, {{"a", ""}}),
            (States{{"", kNo}, {"liveness", kYes}, {"readiness", kNo}, {"a", kNo}}));
}

TEST(JudgeHealthTest, StalledWhileDrainingIsNotAlive) {
  EXPECT_EQ(JudgeHealth(Phase::kDraining, {{"a", "stuck"}}),
            (States{{"", kNo}, {"liveness", kNo}, {"readiness", kNo}, {"a", kNo}}));
}

TEST(JudgeHealthTest, ModelNamedReadinessCannotHideAStall) {
  const States states = JudgeHealth(Phase::kServing, {{"readiness", ""}, {"b", "stuck"}});
  EXPECT_EQ(states.at("readiness"), kNo);
}

// Publishes into a map and counts; the engine's age is set by the test.
class HealthWatchTest : public ::testing::Test {
 protected:
  HealthWatch::Parts Parts() {
    return {[this] {
              ++looks_;
              return std::vector<EngineHealth>{{"m", stalled_ ? "stuck" : ""}};
            },
            [this](const std::string& name, ServingState state) {
              MutexLock lock(&mutex_);
              states_[name] = state;
              ++published_;
            },
            [this](LogLevel level, const std::string& event, const std::vector<LogField>& fields) {
              EXPECT_EQ(level, LogLevel::kWarning);
              EXPECT_EQ(std::get<FieldText>(fields.at(0).value).text, "m");
              MutexLock lock(&mutex_);
              logged_.push_back(event);
            }};
  }
  States Now() {
    MutexLock lock(&mutex_);
    return states_;
  }
  int Published() {
    MutexLock lock(&mutex_);
    return published_;
  }
  std::vector<std::string> Logged() {
    MutexLock lock(&mutex_);
    return logged_;
  }
  // Until the watch has looked at the engines anew.
  void WaitForLooks(int looks) {
    const int target = looks_ + looks;
    EXPECT_TRUE(testing::Eventually([&] { return looks_ >= target; }));
  }

  std::atomic<bool> stalled_ = false;
  std::atomic<int> looks_ = 0;
  Mutex mutex_;
  States states_;
  int published_ = 0;
  std::vector<std::string> logged_;
};

TEST_F(HealthWatchTest, HasPublishedEveryNameWhenMade) {
  HealthWatch watch(Parts(), kLimit);
  EXPECT_EQ(Now(), (States{{"", kYes}, {"liveness", kYes}, {"readiness", kYes}, {"m", kYes}}));
}

TEST_F(HealthWatchTest, FollowsTheEngineIntoAStallAndOut) {
  HealthWatch watch(Parts(), absl::Milliseconds(40));
  stalled_ = true;
  WaitForLooks(2);  // the second look begins after the first was published
  EXPECT_EQ(Now().at("readiness"), kNo);
  EXPECT_EQ(Now().at("m"), kNo);
  stalled_ = false;
  WaitForLooks(2);
  EXPECT_EQ(Now().at("readiness"), kYes);
}

TEST_F(HealthWatchTest, WarnsOnceWhenAStallBeginsAndOnceWhenItEnds) {
  HealthWatch watch(Parts(), absl::Milliseconds(40));
  WaitForLooks(2);
  EXPECT_TRUE(Logged().empty());
  stalled_ = true;
  WaitForLooks(4);
  EXPECT_EQ(Logged(), (std::vector<std::string>{"stall began"}));
  stalled_ = false;
  WaitForLooks(4);
  EXPECT_EQ(Logged(), (std::vector<std::string>{"stall began", "stall ended"}));
}

TEST_F(HealthWatchTest, PublishesChangesOnly) {
  HealthWatch watch(Parts(), absl::Milliseconds(40));
  WaitForLooks(3);
  EXPECT_EQ(Published(), 4);
}

TEST_F(HealthWatchTest, DrainingIsPublishedAtOnceAndStays) {
  HealthWatch watch(Parts(), absl::Milliseconds(40));
  watch.StartDraining();
  EXPECT_EQ(Now(), (States{{"", kNo}, {"liveness", kYes}, {"readiness", kNo}, {"m", kNo}}));
  WaitForLooks(2);
  EXPECT_EQ(Now().at("readiness"), kNo);
}

}  // namespace
}  // namespace dyad
