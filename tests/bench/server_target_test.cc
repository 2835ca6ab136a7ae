// Loads on a fake server whose answers can be counted by hand: it says a prompt's ids backwards.
#include "tests/bench/server_target.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"

namespace dyad::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class ServerTargetTest : public ::testing::Test {
 protected:
  LoadOptions Options(Task task) const {
    LoadOptions options;
    options.task = task;
    options.vocab_size = 100;  // the fake's ids are ASCII
    options.prompt_tokens = 8;
    options.new_tokens = 5;
    options.arrivals.requests = 12;
    options.in_flight = 3;
    return options;
  }

  LoadResult RunLoad(const LoadOptions& options,
                     absl::Duration timeout = absl::InfiniteDuration()) const {
    return bench::RunLoad(options, *ServerTargets({.address = server_.address(),
                                                   .model = {},
                                                   .connections = 2,
                                                   .timeout = timeout,
                                                   .sampling = {}}));
  }

  testing::FakeServer server_;
};

TEST_F(ServerTargetTest, ClosedLoopKeepsEachClientAtOneRequest) {
  server_.traffic.SetFaults({.longest_delay_ms = 5});
  const LoadResult result = RunLoad(Options(Task::kGenerate));
  EXPECT_EQ(result.sent, 12);
  EXPECT_EQ(result.succeeded, 12);
  EXPECT_EQ(result.good, 12);
  EXPECT_EQ(result.tokens_in, 12 * 8);
  EXPECT_EQ(result.tokens_out, 12 * 5);
  EXPECT_EQ(result.ttft.count(), 12);
  EXPECT_EQ(result.token.count(), 12 * 4);
  EXPECT_EQ(result.request.count(), 12);
  EXPECT_GE(result.request.max(), result.ttft.max());
  EXPECT_GE(result.seconds, result.request.max());
  EXPECT_THAT(result.errors, IsEmpty());
  EXPECT_EQ(server_.traffic.calls(), 12);
  EXPECT_LE(server_.traffic.most_at_once(), 3);
}

TEST_F(ServerTargetTest, ScoringCountsWhatTheServerScored) {
  LoadOptions options = Options(Task::kScore);
  options.items = 2;
  const LoadResult result = RunLoad(options);
  EXPECT_EQ(result.succeeded, 12);
  EXPECT_EQ(result.tokens_in, 12 * 2 * 8);
  EXPECT_EQ(result.scored_tokens, 12 * 2 * 7);
  EXPECT_EQ(result.request.count(), 12);
  EXPECT_EQ(result.ttft.count(), 0);
}

TEST_F(ServerTargetTest, ErrorsAreCountedByCodeAndNotTriedAgain) {
  server_.traffic.SetFaults(
      {.fail_first = 4, .code = grpc::StatusCode::RESOURCE_EXHAUSTED, .reason = "QUEUE_FULL"});
  const LoadResult result = RunLoad(Options(Task::kGenerate));
  EXPECT_EQ(result.sent, 12);
  EXPECT_EQ(result.succeeded, 8);
  EXPECT_THAT(result.errors, ElementsAre(Pair("RESOURCE_EXHAUSTED", 4)));
  EXPECT_EQ(result.first_error.message(), "fault on purpose");
  EXPECT_EQ(result.tokens_out, 8 * 5);
  EXPECT_EQ(result.request.count(), 8);
  EXPECT_EQ(server_.traffic.calls(), 12);
}

TEST_F(ServerTargetTest, AnAnswerOfTheWrongLengthIsAnError) {
  LoadOptions options = Options(Task::kGenerate);
  options.new_tokens = 9;  // the fake has only the prompt's 8 to say
  const LoadResult result = RunLoad(options);
  EXPECT_EQ(result.succeeded, 0);
  EXPECT_THAT(result.errors, ElementsAre(Pair("INTERNAL", 12)));
  EXPECT_EQ(result.first_error.message(), "the answer has 8 tokens; expected new_tokens = 9");
}

TEST_F(ServerTargetTest, GoodRequestsKeepBothLimits) {
  LoadOptions options = Options(Task::kGenerate);
  options.ttft_limit = 0;
  EXPECT_EQ(RunLoad(options).good, 0);
  options.ttft_limit = 60;
  options.token_limit = -1;
  EXPECT_EQ(RunLoad(options).good, 0);
  options.token_limit = 60;
  EXPECT_EQ(RunLoad(options).good, 12);
}

TEST_F(ServerTargetTest, InTheOpenLoopWaitingForAThreadCounts) {
  // All are due within a moment, and each takes some milliseconds: with one thread they queue.
  LoadOptions options = Options(Task::kGenerate);
  options.arrivals.rate = 1e5;
  options.in_flight = 1;
  const LoadResult queued = RunLoad(options);
  EXPECT_EQ(queued.succeeded, 12);
  EXPECT_NEAR(queued.request.max(), queued.seconds, 0.01 * queued.seconds + 1e-3);
  EXPECT_EQ(server_.traffic.most_at_once(), 1);
}

TEST_F(ServerTargetTest, ARequestThatTakesTooLongIsAnError) {
  server_.traffic.SetFaults({.longest_delay_ms = 2000});
  LoadOptions options = Options(Task::kScore);
  options.arrivals.requests = 1;
  EXPECT_THAT(RunLoad(options, absl::Nanoseconds(1)).errors,
              ElementsAre(Pair("DEADLINE_EXCEEDED", 1)));
}

TEST_F(ServerTargetTest, FindsTheModelOrSaysWhyNot) {
  EXPECT_EQ(FindModel(server_.address(), "")->name(), "fake");
  EXPECT_THAT(FindModel(server_.address(), "other").status(),
              testing::StatusIs(absl::StatusCode::kNotFound, ::testing::_));
  EXPECT_THAT(FindModel("127.0.0.1:1", "").status(),
              testing::StatusIs(absl::StatusCode::kUnavailable, ::testing::_));
}

}  // namespace
}  // namespace dyad::bench
