// The rules of health as a table, and the watch with an engine that does what it is told.
#include "server/grpc/health.h"

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "server/base/mutex.h"

namespace dyad {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(10);
constexpr ServingState kYes = ServingState::kServing;
constexpr ServingState kNo = ServingState::kNotServing;

using States = std::map<std::string, ServingState>;

TEST(JudgeHealthTest, AllServeWhileEnginesStep) {
  EXPECT_EQ(
      JudgeHealth(Phase::kServing, {{"a", absl::ZeroDuration()}, {"b", kLimit}}, kLimit),
      (States{{"", kYes}, {"liveness", kYes}, {"readiness", kYes}, {"a", kYes}, {"b", kYes}}));
}

TEST(JudgeHealthTest, StalledEngineTakesDownItsModelAndTheServerButNoOtherModel) {
  EXPECT_EQ(
      JudgeHealth(Phase::kServing,
                  {{"a", absl::ZeroDuration()}, {"b", kLimit + absl::Milliseconds(1)}}, kLimit),
      (States{{"", kNo}, {"liveness", kNo}, {"readiness", kNo}, {"a", kYes}, {"b", kNo}}));
}

TEST(JudgeHealthTest, DrainingServerIsAliveAndNotReady) {
  EXPECT_EQ(JudgeHealth(Phase::kDraining, {{"a", absl::ZeroDuration()}}, kLimit),
            (States{{"", kNo}, {"liveness", kYes}, {"readiness", kNo}, {"a", kNo}}));
}

TEST(JudgeHealthTest, StalledWhileDrainingIsNotAlive) {
  EXPECT_EQ(JudgeHealth(Phase::kDraining, {{"a", absl::Hours(1)}}, kLimit),
            (States{{"", kNo}, {"liveness", kNo}, {"readiness", kNo}, {"a", kNo}}));
}

TEST(JudgeHealthTest, ModelNamedReadinessCannotHideAStall) {
  const States states = JudgeHealth(
      Phase::kServing, {{"readiness", absl::ZeroDuration()}, {"b", absl::Hours(1)}}, kLimit);
  EXPECT_EQ(states.at("readiness"), kNo);
}

// Publishes into a map and counts; the engine's age is set by the test.
class HealthWatchTest : public ::testing::Test {
 protected:
  HealthWatch::Parts Parts() {
    return {[this] {
              ++looks_;
              return std::vector<EngineHealth>{{"m", absl::Milliseconds(age_ms_.load())}};
            },
            [this](const std::string& name, ServingState state) {
              MutexLock lock(&mutex_);
              states_[name] = state;
              ++published_;
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
  // Until the watch has looked at the engines anew.
  void WaitForLooks(int looks) {
    const int target = looks_ + looks;
    while (looks_ < target) std::this_thread::yield();
  }

  std::atomic<int> age_ms_ = 0;
  std::atomic<int> looks_ = 0;
  Mutex mutex_;
  States states_;
  int published_ = 0;
};

TEST_F(HealthWatchTest, HasPublishedEveryNameWhenMade) {
  HealthWatch watch(Parts(), kLimit);
  EXPECT_EQ(Now(), (States{{"", kYes}, {"liveness", kYes}, {"readiness", kYes}, {"m", kYes}}));
}

TEST_F(HealthWatchTest, FollowsTheEngineIntoAStallAndOut) {
  HealthWatch watch(Parts(), absl::Milliseconds(40));
  age_ms_ = 1000;
  WaitForLooks(2);  // the second look begins after the first was published
  EXPECT_EQ(Now().at("readiness"), kNo);
  EXPECT_EQ(Now().at("m"), kNo);
  age_ms_ = 0;
  WaitForLooks(2);
  EXPECT_EQ(Now().at("readiness"), kYes);
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
