// Whole steps on the fake model, with a clock moved by hand. Random load is in random_load_test.cc.
#include "server/engine/step_runner.h"

#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/engine/step_bench.h"
#include "tests/support/status_matchers.h"

namespace dyad::engine {
namespace {

using ::dyad::testing::FakeModelOptions;
using ::dyad::testing::Generate;
using ::dyad::testing::RecordingSink;
using ::dyad::testing::Score;
using ::dyad::testing::Spelling;
using ::dyad::testing::StatusIs;
using ::dyad::testing::StepBench;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

FakeModelOptions Spells(std::vector<int32_t> prompt, std::vector<int32_t> continuation) {
  FakeModelOptions options;
  options.spellings.push_back({std::move(prompt), std::move(continuation)});
  return options;
}

TEST(StepRunnerTest, GeneratesGreedilyToTheLengthAskedFor) {
  StepBench bench;
  RecordingSink sink;
  bench.Add(Generate({1, 2, 3}, 5), sink);
  bench.RunAll();
  EXPECT_EQ(sink.Ids(), bench.model.ExpectedGreedy({1, 2, 3}, 5));
  EXPECT_EQ(sink.outcome->reason, FinishReason::kLength);
  EXPECT_EQ(bench.model.steps(), 5);
  EXPECT_EQ(bench.model.rows(), 7);
}

TEST(StepRunnerTest, EosEndsAndIsPartOfTheOutputUnlessIgnored) {
  StepBench bench(Spells({1}, {5, 6, 7, 8}));
  RecordingSink ends;
  RecordingSink ignores;
  Request request = Generate({1}, 4);
  bench.Add(request, ignores);
  request.eos_ids = {60, 6};
  bench.Add(request, ends);
  bench.RunAll();
  EXPECT_THAT(ends.Ids(), ElementsAre(5, 6));
  EXPECT_EQ(ends.outcome->reason, FinishReason::kEos);
  EXPECT_THAT(ignores.Ids(), ElementsAre(5, 6, 7, 8));
  EXPECT_EQ(ignores.outcome->reason, FinishReason::kLength);
}

TEST(StepRunnerTest, StopsAtAStopIdAndWhenTheSinkSaysSo) {
  StepBench bench(Spells({1}, {5, 6, 7, 8}));
  RecordingSink by_id;
  RecordingSink by_sink;
  by_sink.StopAfter(1);
  Request request = Generate({1}, 4);
  bench.Add(request, by_sink);
  request.stop_ids = {9, 7};
  bench.Add(request, by_id);
  bench.RunAll();
  EXPECT_THAT(by_id.Ids(), ElementsAre(5, 6, 7));
  EXPECT_EQ(by_id.outcome->reason, FinishReason::kStop);
  EXPECT_THAT(by_sink.Ids(), ElementsAre(5));
  EXPECT_EQ(by_sink.outcome->reason, FinishReason::kStop);
  EXPECT_EQ(bench.metrics.Ended(EndReason::kStop), 2);
}

TEST(StepRunnerTest, ScoresFromTheAskedTokenWithItsCompetitors) {
  StepBench bench;
  RecordingSink sink;
  Request request = Score({3, 1, 4, 1, 5, 9}, 3);
  request.top_n = 4;
  bench.Add(request, sink);
  bench.RunAll();
  EXPECT_EQ(sink.scores, bench.model.ExpectedScores(request.ids, 3, 4));
  EXPECT_THAT(sink.scores, SizeIs(3));
  EXPECT_THAT(sink.scores[0].top, SizeIs(4));
  EXPECT_EQ(sink.outcome->reason, FinishReason::kNone);
  EXPECT_EQ(bench.metrics.Ended(EndReason::kScored), 1);
}

// As a harness asks, with the likeliest token of each place: that is kept with pages, more is not.
TEST(StepRunnerTest, TheBestCompetitorIsFoundAgain) {
  StepBench bench;
  std::vector<int32_t> ids(3 * kPageTokens + 5);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * i % 11);
  const auto cached = [&](int32_t top_n, int32_t max_new_tokens) {
    RecordingSink sink;
    Request request = Score(ids, 0);
    request.top_n = top_n;
    request.max_new_tokens = max_new_tokens;
    bench.Add(request, sink);
    bench.RunAll();
    EXPECT_EQ(sink.scores, bench.model.ExpectedScores(ids, 0, top_n)) << top_n;
    return sink.outcome->cached_tokens;
  };
  constexpr int32_t kHit =
      3 * kPageTokens - 1;  // the row before the first missing score runs again
  EXPECT_EQ(cached(0, 0), 0);
  EXPECT_EQ(cached(1, 0), 0);  // stored pages lack it, and get it
  EXPECT_EQ(cached(1, 0), kHit);
  EXPECT_EQ(cached(1, 1), kHit);
  EXPECT_EQ(cached(0, 0), kHit);
  EXPECT_EQ(cached(2, 0), 0);
}

TEST(StepRunnerTest, ScoresAndThenGenerates) {
  StepBench bench;
  RecordingSink sink;
  Request request = Generate({3, 1, 4, 1, 5}, 3);
  request.score_from = 0;
  bench.Add(request, sink);
  bench.RunAll();
  EXPECT_EQ(sink.scores, bench.model.ExpectedScores(request.ids, 0, 0));
  EXPECT_EQ(sink.Ids(), bench.model.ExpectedGreedy(request.ids, 3));
}

TEST(StepRunnerTest, WhatIsNotANumberEndsItsSequenceAlone) {
  FakeModelOptions options;
  options.overflows_on = 7;
  StepBench bench(options);
  RecordingSink scored, unscored, drawn, alone;
  Request top = Score({1, 7, 3, 4}, 0);
  top.top_n = 2;
  bench.Add(top, scored);
  bench.Add(Score({1, 2, 7}, 0), unscored);  // the last token predicts nothing
  bench.Add(Generate({1, 7}, 3), drawn);
  bench.Add(Generate({1, 2}, 3), alone);
  bench.RunAll();
  EXPECT_THAT(scored.outcome->status,
              StatusIs(absl::StatusCode::kInternal, HasSubstr("position 2 of the tokens fed")));
  EXPECT_THAT(scored.scores, IsEmpty());
  EXPECT_THAT(drawn.outcome->status,
              StatusIs(absl::StatusCode::kInternal, HasSubstr("position 2 of the tokens fed")));
  EXPECT_THAT(drawn.tokens, IsEmpty());
  EXPECT_EQ(unscored.scores, bench.model.ExpectedScores(std::vector<int32_t>{1, 2, 7}, 0, 0));
  EXPECT_EQ(alone.Ids(), bench.model.ExpectedGreedy({1, 2}, 3));
}

TEST(StepRunnerTest, WhatIsNotANumberIsNotKept) {
  FakeModelOptions options;
  options.overflows_on = 7;
  StepBench bench(options);
  std::vector<int32_t> ids(2 * kPageTokens, 1);
  ids[3] = 7;
  for (const Request& request : {Score(ids, 0), Generate(ids, 2)}) {
    for (int i = 0; i < 2; ++i) {
      RecordingSink sink;
      bench.Add(request, sink);
      bench.RunAll();
      EXPECT_THAT(sink.outcome->status, StatusIs(absl::StatusCode::kInternal, HasSubstr("finite")));
      EXPECT_EQ(sink.outcome->cached_tokens, 0);
    }
  }
  EXPECT_EQ(bench.runner.Status().free_pages, bench.model.limits().kv_pages);
}

TEST(StepRunnerTest, ASingleIdHasNothingToScoreAndEndsWithoutTheModel) {
  StepBench bench;
  RecordingSink sink;
  bench.Add(Score({3}, 0), sink);
  bench.Step();
  EXPECT_OK(sink.outcome->status);
  EXPECT_THAT(sink.scores, IsEmpty());
  EXPECT_EQ(bench.model.steps(), 0);
  EXPECT_EQ(bench.metrics.last_step.running, 0);
}

TEST(StepRunnerTest, BitsDoNotDependOnTheBudgetNorOnTheCache) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 50; ++i) ids.push_back((i * 7) % 32);
  for (const int32_t budget : {1, 3, 16, 49, 512}) {
    for (const PrefixCache cache : {PrefixCache::kOff, PrefixCache::kOn}) {
      EngineOptions options;
      options.max_batch_tokens = budget;
      options.prefix_cache = cache;
      StepBench bench({}, options);
      for (int round = 0; round < 2; ++round) {
        RecordingSink sink;
        bench.Add(Score(ids, 0), sink);
        bench.RunAll();
        EXPECT_EQ(sink.scores, bench.model.ExpectedScores(ids, 0, 0));
        const int32_t cached = cache == PrefixCache::kOn && round == 1 ? 47 : 0;
        EXPECT_EQ(sink.outcome->cached_tokens, cached);
      }
    }
  }
}

TEST(StepRunnerTest, ACancelTakesEffectInTheNextStepRunningOrWaiting) {
  EngineOptions options;
  options.max_running_sequences = 1;
  StepBench bench({}, options);
  RecordingSink running;
  RecordingSink waiting;
  bench.Add(Generate({1}, 50), running);
  bench.Add(Generate({2}, 50), waiting);
  bench.Step();
  waiting.Leave();
  bench.Step();
  ASSERT_TRUE(waiting.outcome.has_value());
  EXPECT_THAT(waiting.outcome->status, StatusIs(absl::StatusCode::kCancelled, HasSubstr("")));
  EXPECT_EQ(waiting.outcome->timing.queue, absl::Seconds(1));
  running.Leave();
  bench.Step();
  ASSERT_TRUE(running.outcome.has_value());
  EXPECT_TRUE(absl::IsCancelled(running.outcome->status));
  EXPECT_THAT(running.tokens, SizeIs(2));
  EXPECT_EQ(bench.runner.Status().free_pages, bench.model.limits().kv_pages);
  EXPECT_EQ(bench.metrics.last_step.running, 0);
}

TEST(StepRunnerTest, ADeadlineEndsASequence) {
  StepBench bench;
  RecordingSink sink;
  Request request = Generate({1}, 50);
  request.deadline = bench.clock.Now() + absl::Seconds(2.5);
  bench.Add(request, sink);
  bench.RunAll();
  EXPECT_TRUE(absl::IsDeadlineExceeded(sink.outcome->status));
  EXPECT_THAT(sink.tokens, SizeIs(3));
  EXPECT_EQ(bench.metrics.Ended(EndReason::kDeadline), 1);
}

TEST(StepRunnerTest, AFailedStepEndsItsSequencesAndTheEngineGoesOn) {
  FakeModelOptions model_options;
  model_options.before_step = [](int64_t step) {
    return step == 1 ? absl::InternalError("device lost") : absl::OkStatus();
  };
  EngineOptions options;
  options.max_running_sequences = 2;
  StepBench bench(model_options, options);
  RecordingSink a;
  RecordingSink b;
  RecordingSink waited;
  bench.Add(Generate(std::vector<int32_t>(40, 1), 5), a);
  bench.Add(Generate({2}, 5), b);
  bench.Add(Generate(std::vector<int32_t>(40, 1), 5), waited);
  bench.RunAll();
  EXPECT_THAT(a.outcome->status, StatusIs(absl::StatusCode::kInternal, HasSubstr("device lost")));
  EXPECT_TRUE(absl::IsInternal(b.outcome->status));
  EXPECT_THAT(a.tokens, SizeIs(1));
  EXPECT_OK(waited.outcome->status);
  EXPECT_EQ(waited.outcome->cached_tokens, 0);  // nothing of before the failure is trusted
  EXPECT_EQ(waited.Ids(), bench.model.ExpectedGreedy(std::vector<int32_t>(40, 1), 5));
}

TEST(StepRunnerTest, PreemptionRepeatsNothingAndChangesNothing) {
  FakeModelOptions model_options;
  model_options.kv_pages = 6;
  for (const PrefixCache cache : {PrefixCache::kOff, PrefixCache::kOn}) {
    EngineOptions options;
    options.prefix_cache = cache;
    StepBench bench(model_options, options);
    RecordingSink sinks[2];
    Request requests[2] = {Generate(std::vector<int32_t>(20, 1), 60),
                           Generate(std::vector<int32_t>(20, 2), 60)};
    for (int i = 0; i < 2; ++i) {
      requests[i].score_from = 0;
      requests[i].sampling.temperature = 1;
      requests[i].sampling.seed = 11;
      bench.Add(requests[i], sinks[i]);
    }
    bench.RunAll();
    EXPECT_GT(bench.metrics.preempted, 0);
    for (int i = 0; i < 2; ++i) {
      StepBench alone;
      RecordingSink expected;
      alone.Add(requests[i], expected);
      alone.RunAll();
      EXPECT_EQ(sinks[i].Ids(), expected.Ids());
      EXPECT_EQ(sinks[i].scores, expected.scores);
      EXPECT_OK(sinks[i].outcome->status);
    }
  }
}

TEST(StepRunnerTest, TimesAreThoseOfTheClock) {
  EngineOptions options;
  options.max_batch_tokens = 4;
  options.max_running_sequences = 1;
  StepBench bench({}, options);
  RecordingSink first;
  RecordingSink second;
  bench.Add(Generate({1, 2, 3, 4}, 2), first);
  bench.Add(Generate({1, 2, 3, 4, 5, 6, 7, 8}, 4), second);
  bench.RunAll();
  const Timing& timing = second.outcome->timing;
  EXPECT_EQ(timing.queue, absl::Seconds(2));
  EXPECT_EQ(timing.prefill, absl::Seconds(2));
  EXPECT_EQ(timing.decode, absl::Seconds(3));
  EXPECT_EQ(bench.metrics.last_finished.end_to_end, absl::Seconds(7));
  EXPECT_EQ(bench.metrics.last_finished.queue, timing.queue);
  EXPECT_EQ(bench.metrics.first_tokens, 2);
  EXPECT_EQ(bench.metrics.inter_tokens, 4);
}

TEST(StepRunnerTest, ReportsEachStep) {
  EngineOptions options;
  options.max_running_sequences = 1;
  StepBench bench({}, options);
  RecordingSink a;
  RecordingSink b;
  bench.Add(Generate(std::vector<int32_t>(20, 1), 5), a);
  bench.Add(Generate({1}, 5), b);
  bench.Step();
  const StepStats& stats = bench.metrics.last_step;
  EXPECT_EQ(stats.tokens, 20);
  EXPECT_EQ(stats.sequences, 1);
  EXPECT_EQ(stats.running, 1);
  EXPECT_EQ(stats.waiting, 1);
  EXPECT_EQ(stats.pages_used, 2);
  EXPECT_EQ(stats.pages_total, bench.model.limits().kv_pages);
  EXPECT_EQ(stats.duration, absl::Seconds(1));
  EXPECT_EQ(stats.structured_flops, 20 * 100);
  EXPECT_EQ(stats.dense_equivalent_flops, 20 * 400);
  EXPECT_EQ(stats.weight_bytes, 1000);
  const EngineStatus status = bench.runner.Status();
  EXPECT_EQ(status.running, 1);
  EXPECT_EQ(status.waiting, 1);
  // Both were submitted before the step, which took a second.
  EXPECT_EQ(bench.clock.Now() - status.waiting_since, absl::Seconds(1));
  EXPECT_EQ(bench.clock.Now() - status.running_since, absl::Seconds(1));
}

TEST(StepRunnerTest, EndAllEndsEverythingWithItsStatus) {
  EngineOptions options;
  options.max_running_sequences = 1;
  StepBench bench({}, options);
  RecordingSink a;
  RecordingSink b;
  bench.Add(Generate({1}, 5), a);
  bench.Add(Generate({1}, 5), b);
  bench.Step();
  bench.runner.EndAll(absl::UnavailableError("closing"));
  EXPECT_EQ(bench.runner.NotifyEnded(), 2);
  EXPECT_TRUE(absl::IsUnavailable(a.outcome->status));
  EXPECT_TRUE(absl::IsUnavailable(b.outcome->status));
  EXPECT_FALSE(bench.runner.HasWork());
  EXPECT_EQ(bench.metrics.last_step.waiting, 0);
  EXPECT_EQ(bench.metrics.Ended(EndReason::kUnavailable), 2);
}

// Steps take a second each, so 10 tokens take 10 seconds, whenever they begin.
TEST(StepRunnerTest, WhatCannotEndBeforeItsDeadlineIsSentAwayUnlessTheEngineIsIdle) {
  EngineOptions options;
  options.max_running_sequences = 2;
  StepBench bench({}, options);
  RecordingSink patient[4], hopeless, hopeful, alone;
  for (RecordingSink& sink : patient) bench.Add(Generate({1}, 10), sink);
  for (int i = 0; i < 4; ++i) bench.Step();
  Request request = Generate({2}, 10);
  request.deadline = bench.clock.Now() + absl::Seconds(9);
  bench.Add(request, hopeless);
  request.deadline = bench.clock.Now() + absl::Seconds(60);
  bench.Add(request, hopeful);
  bench.Step();
  ASSERT_TRUE(hopeless.outcome.has_value());
  EXPECT_THAT(hopeless.outcome->status,
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("too busy")));
  EXPECT_TRUE(hopeless.outcome->retry_after.has_value());
  EXPECT_EQ(bench.metrics.Ended(EndReason::kOverload), 1);
  EXPECT_FALSE(hopeful.outcome.has_value());
  bench.RunAll();
  EXPECT_OK(hopeful.outcome->status);
  EXPECT_THAT(hopeful.Ids(), SizeIs(10));
  for (const RecordingSink& sink : patient) EXPECT_OK(sink.outcome->status);

  request.deadline = bench.clock.Now() + absl::Seconds(5);
  bench.Add(request, alone);
  bench.RunAll();
  EXPECT_THAT(alone.outcome->status,
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("deadline")));
  EXPECT_THAT(alone.Ids(), SizeIs(5));
}

TEST(StepRunnerTest, AClientsBacklogDoesNotCountAgainstAnother) {
  EngineOptions options;
  options.max_running_sequences = 2;
  StepBench bench({}, options);
  RecordingSink backlog[20], guest;
  for (RecordingSink& sink : backlog) bench.Add(Generate({1}, 10), sink);
  for (int i = 0; i < 4; ++i) bench.Step();
  Request request = Generate({2}, 2);
  request.client = 1;
  request.deadline = bench.clock.Now() + absl::Seconds(10);
  bench.Add(request, guest);
  bench.RunAll();
  EXPECT_OK(guest.outcome->status);
}

}  // namespace
}  // namespace dyad::engine
