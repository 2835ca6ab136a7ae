// The thread: submitting, bounds, draining, sleeping; and many threads at once, for the sanitizers.
#include "server/engine/engine.h"

#include <memory>
#include <random>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/steady_clock.h"
#include "tests/server/engine/counting_metrics.h"
#include "tests/server/engine/recording_sink.h"
#include "tests/support/fake_model.h"
#include "tests/support/status_matchers.h"

namespace dyad::engine {
namespace {

using ::dyad::testing::CountingMetrics;
using ::dyad::testing::FakeModel;
using ::dyad::testing::FakeModelOptions;
using ::dyad::testing::Gate;
using ::dyad::testing::RecordingSink;
using ::dyad::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

Request GenerateFrom(std::vector<int32_t> ids, int32_t max_new_tokens) {
  Request request;
  request.ids = std::move(ids);
  request.max_new_tokens = max_new_tokens;
  return request;
}

FakeModelOptions Gated(Gate& gate) {
  FakeModelOptions options;
  options.before_step = [&gate](int64_t) {
    gate.Pass();
    return absl::OkStatus();
  };
  return options;
}

TEST(EngineTest, RunsWhatIsSubmitted) {
  FakeModel model;
  CountingMetrics metrics;
  Engine engine(model, {}, metrics);
  RecordingSink sinks[3];
  std::vector<Submission> submissions;
  for (int32_t i = 0; i < 3; ++i) submissions.push_back({GenerateFrom({i, 1}, 4), &sinks[i]});
  ASSERT_OK(engine.Submit(std::move(submissions)));
  for (int32_t i = 0; i < 3; ++i) {
    sinks[i].AwaitEnd();
    EXPECT_EQ(sinks[i].Ids(), model.ExpectedGreedy({i, 1}, 4));
  }
  EXPECT_EQ(metrics.accepted, 3);
}

TEST(EngineTest, WhoeverHearsOfTheLastEndFindsAllPagesFree) {
  FakeModel model;
  CountingMetrics metrics;
  Engine engine(model, {}, metrics);
  for (int i = 0; i < 100; ++i) {
    RecordingSink sink;
    ASSERT_OK(engine.Submit({{GenerateFrom({1, 2, 3}, 3), &sink}}));
    sink.AwaitEnd();
    const EngineStatus status = engine.Status();
    ASSERT_EQ(status.free_pages, model.limits().kv_pages);
    ASSERT_EQ(status.running + status.waiting, 0);
    ASSERT_EQ(metrics.finished, metrics.accepted);
  }
}

TEST(EngineTest, SubmitsAllOrNone) {
  FakeModel model;
  CountingMetrics metrics;
  Engine engine(model, {}, metrics);
  RecordingSink sinks[2];
  EXPECT_THAT(
      engine.Submit({{GenerateFrom({1}, 1), &sinks[0]}, {GenerateFrom({-1}, 1), &sinks[1]}}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ids[0]")));
  engine.Drain(absl::InfiniteDuration());
  EXPECT_FALSE(sinks[0].outcome.has_value());
  EXPECT_EQ(metrics.accepted, 0);
  EXPECT_OK(engine.Submit({}));
}

TEST(EngineTest, RefusesPastTheBoundsOfTheQueueAndAcceptsAgainLater) {
  Gate gate;
  FakeModel model(Gated(gate));
  CountingMetrics metrics;
  EngineOptions options;
  options.max_queued_requests = 2;
  options.max_queued_tokens = 10;
  Engine engine(model, options, metrics);
  RecordingSink sinks[6];
  ASSERT_OK(engine.Submit({{GenerateFrom({1}, 1), &sinks[0]}}));
  gate.AwaitArrivals(1);  // the first one runs
  ASSERT_OK(engine.Submit({{GenerateFrom({1, 2, 3, 4, 5}, 1), &sinks[1]}}));
  EXPECT_THAT(engine.Submit({{GenerateFrom({1, 2, 3, 4, 5, 6}, 1), &sinks[2]}}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("5 tokens, at most 10")));
  ASSERT_OK(engine.Submit({{GenerateFrom({1, 2, 3, 4, 5}, 1), &sinks[3]}}));
  EXPECT_THAT(engine.Submit({{GenerateFrom({1}, 1), &sinks[4]}}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("2 sequences, at most 2")));
  EXPECT_EQ(metrics.rejected, 2);
  EXPECT_EQ(engine.Status().waiting, 2);
  EXPECT_GE(engine.Status().retry_after, absl::Seconds(0.05));
  gate.Open();
  sinks[3].AwaitEnd();
  EXPECT_OK(engine.Submit({{GenerateFrom({1}, 1), &sinks[5]}}));
  engine.Drain(absl::InfiniteDuration());
  EXPECT_OK(sinks[5].outcome->status);
}

TEST(EngineTest, RefusesAtOnceWhatCannotEndInTimeBesideTheOthers) {
  FakeModelOptions model_options;
  model_options.step_time = std::chrono::milliseconds(5);
  FakeModel model(model_options);
  CountingMetrics metrics;
  Engine engine(model, {}, metrics);
  RecordingSink busy, refused, accepted;
  ASSERT_OK(engine.Submit({{GenerateFrom({1}, 200), &busy}}));
  while (model.steps() < 10) absl::SleepFor(absl::Milliseconds(1));
  Request request = GenerateFrom({1}, 100);
  request.deadline = SteadyNow() + absl::Milliseconds(100);
  EXPECT_THAT(engine.Submit({{request, &refused}}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("too busy")));
  EXPECT_EQ(metrics.rejected, 1);
  const Submission patient = {GenerateFrom({1}, 1), &refused};
  EXPECT_TRUE(absl::IsResourceExhausted(engine.Submit({patient, {request, &refused}})));
  EXPECT_EQ(engine.Status().waiting, 0) << "all are queued, or none";
  request.deadline = SteadyNow() + absl::Hours(1);
  EXPECT_OK(engine.Submit({{request, &accepted}}));
  engine.Drain(absl::InfiniteDuration());
  EXPECT_OK(accepted.outcome->status);
}

TEST(EngineTest, WhatAnEmptyQueueCouldNotHoldIsInvalid) {
  FakeModel model;
  CountingMetrics metrics;
  EngineOptions options;
  options.max_queued_requests = 2;
  options.max_queued_tokens = 10;
  Engine engine(model, options, metrics);
  RecordingSink sink;
  const Submission one = {GenerateFrom({1}, 1), &sink};
  EXPECT_THAT(engine.Submit({one, one, one}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("3 sequences")));
  EXPECT_THAT(engine.Submit({{GenerateFrom(std::vector<int32_t>(11, 1), 1), &sink}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("11 tokens")));
}

TEST(EngineTest, DrainWaitsForSequencesAndRefusesNewOnes) {
  Gate gate;
  FakeModel model(Gated(gate));
  CountingMetrics metrics;
  EngineOptions options;
  options.max_queued_tokens = 2;
  Engine engine(model, options, metrics);
  RecordingSink sink;
  RecordingSink refused;
  ASSERT_OK(engine.Submit({{GenerateFrom({1}, 20), &sink}}));
  std::thread drain([&] { engine.Drain(absl::InfiniteDuration()); });
  // Too long for the queue, so that it is never accepted; once the engine drains, that comes first.
  while (!absl::IsUnavailable(engine.Submit({{GenerateFrom({1, 2, 3}, 1), &refused}}))) {
    std::this_thread::yield();
  }
  gate.Open();
  drain.join();
  EXPECT_OK(sink.outcome->status);
  EXPECT_EQ(sink.tokens.size(), 20u);
}

TEST(EngineTest, DrainEndsTheRestAtItsLimit) {
  FakeModelOptions options;
  options.step_time = std::chrono::milliseconds(1);
  FakeModel model(options);
  CountingMetrics metrics;
  EngineOptions engine_options;
  engine_options.max_running_sequences = 1;
  Engine engine(model, engine_options, metrics);
  RecordingSink running;
  RecordingSink waiting;
  ASSERT_OK(
      engine.Submit({{GenerateFrom({1}, 200), &running}, {GenerateFrom({1}, 200), &waiting}}));
  engine.Drain(absl::Milliseconds(5));
  EXPECT_THAT(running.outcome->status,
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("shutting down")));
  EXPECT_TRUE(absl::IsUnavailable(waiting.outcome->status));
  EXPECT_FALSE(waiting.outcome->device_lost);
  EXPECT_EQ(engine.Status().free_pages, model.limits().kv_pages);
  engine.Drain(absl::ZeroDuration());
}

TEST(EngineTest, DestructionEndsWhatRuns) {
  FakeModelOptions options;
  options.step_time = std::chrono::milliseconds(1);
  FakeModel model(options);
  CountingMetrics metrics;
  RecordingSink sink;
  {
    Engine engine(model, {}, metrics);
    ASSERT_OK(engine.Submit({{GenerateFrom({1}, 200), &sink}}));
  }
  ASSERT_TRUE(sink.outcome.has_value());
  EXPECT_TRUE(absl::IsUnavailable(sink.outcome->status));
}

TEST(EngineTest, StatusTellsAStepThatDoesNotEndFromIdleness) {
  Gate gate;
  FakeModel model(Gated(gate));
  CountingMetrics metrics;
  Engine engine(model, {}, metrics);
  EXPECT_EQ(engine.Status().since_last_step, absl::ZeroDuration());
  RecordingSink sink;
  ASSERT_OK(engine.Submit({{GenerateFrom({1}, 1), &sink}}));
  gate.AwaitArrivals(1);
  absl::SleepFor(absl::Milliseconds(2));
  EXPECT_GE(engine.Status().since_last_step, absl::Milliseconds(2));
  EXPECT_EQ(engine.Status().running + engine.Status().waiting, 1);
  gate.Open();
  engine.Drain(absl::InfiniteDuration());
  EXPECT_EQ(engine.Status().since_last_step, absl::ZeroDuration());
}

// Four threads submit, some leave, one watches, and at last the engine is drained under them.
TEST(EngineTest, ManyThreadsAtOnce) {
  FakeModelOptions model_options;
  model_options.kv_pages = 24;
  FakeModel model(model_options);
  CountingMetrics metrics;
  EngineOptions options;
  options.max_batch_tokens = 64;
  options.max_running_sequences = 16;
  options.max_queued_requests = 40;
  Engine engine(model, options, metrics);
  std::atomic<bool> watching{true};
  std::atomic<int64_t> accepted{0};
  std::atomic<int64_t> refused{0};
  std::thread watcher([&] {
    while (watching) {
      const EngineStatus status = engine.Status();
      EXPECT_LE(status.free_pages, 24);
      EXPECT_LE(status.waiting, 40 + 16);  // those preempted wait as well
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> submitters;
  for (int thread = 0; thread < 4; ++thread) {
    submitters.emplace_back([&, thread] {
      std::mt19937 random(thread);
      for (int round = 0; round < 40; ++round) {
        RecordingSink sinks[12];
        std::vector<std::vector<int32_t>> prompts(12);
        std::vector<bool> queued(12);
        for (int i = 0; i < 12; ++i) {
          prompts[i].assign(1 + random() % 40, static_cast<int32_t>(random() % 3));
          Request request = GenerateFrom(prompts[i], static_cast<int32_t>(random() % 12));
          if (random() % 2) request.score_from = 0;
          const absl::Status status = engine.Submit({{std::move(request), &sinks[i]}});
          queued[i] = status.ok();
          ++(status.ok() ? accepted : refused);
          if (random() % 8 == 0) sinks[i].Leave();
        }
        for (int i = 0; i < 12; ++i) {
          if (!queued[i]) continue;
          sinks[i].AwaitEnd();
          const auto& outcome = *sinks[i].outcome;
          EXPECT_TRUE(outcome.status.ok() || absl::IsCancelled(outcome.status)) << outcome.status;
          const std::vector<int32_t> ids = sinks[i].Ids();
          EXPECT_EQ(ids, model.ExpectedGreedy(prompts[i], static_cast<int32_t>(ids.size())));
          if (!sinks[i].scores.empty()) {
            EXPECT_EQ(sinks[i].scores, model.ExpectedScores(prompts[i], 0, 0));
          }
        }
      }
    });
  }
  for (std::thread& submitter : submitters) submitter.join();
  engine.Drain(absl::InfiniteDuration());
  watching = false;
  watcher.join();
  EXPECT_EQ(metrics.accepted, accepted);
  EXPECT_EQ(metrics.rejected, refused);
  EXPECT_EQ(metrics.finished, accepted);
  EXPECT_EQ(engine.Status().free_pages, 24);
}

}  // namespace
}  // namespace dyad::engine
