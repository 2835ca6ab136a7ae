// What sequences of one step share: the plan, on hand-made sequences; and what comes of it, on the
// fake model.
#include <algorithm>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/engine/scheduler_bench.h"
#include "tests/server/engine/step_bench.h"

namespace dyad::engine {
namespace {

using ::dyad::testing::FakeModelOptions;
using ::dyad::testing::Generate;
using ::dyad::testing::RecordingSink;
using ::dyad::testing::SchedulerBench;
using ::dyad::testing::Score;
using ::dyad::testing::StepBench;
using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr SchedulerLimits kCache = {64, 8, PrefixCache::kOn};

TEST(RowSharingPlanTest, EqualPromptsSubmittedTogetherAreComputedOnceAndShareFullPages) {
  SchedulerBench bench(kCache, 20);
  Sequence* sequences[4];
  for (Sequence*& sequence : sequences) sequence = bench.Generate(40, 2);
  bench.Generate(5, 2, 100);
  EXPECT_THAT(bench.Step(), ElementsAre(40, 40, 40, 40, 5));
  EXPECT_EQ(bench.rows, 45);
  for (Sequence* sequence : sequences) {
    EXPECT_EQ(sequence->pages[0], sequences[0]->pages[0]);
    EXPECT_EQ(sequence->pages[1], sequences[0]->pages[1]);
    EXPECT_EQ(bench.pool.holders(sequence->pages[2]), 1);
  }
  EXPECT_EQ(bench.pool.available(), 20 - 2 - 4 - 1);
  EXPECT_THAT(bench.Step(), ElementsAre(1, 1, 1, 1, 1));
  EXPECT_EQ(bench.rows, 5);
  EXPECT_EQ(bench.pool.available(), 20);
}

// A tree of 3 + 2 + 2 rows: 0 1 2 are common to all, 10 to the last two.
TEST(RowSharingPlanTest, SequencesThatBeginAlikeShareRows) {
  SchedulerBench bench(kCache, 20);
  Sequence* a = bench.ScoreIds({0, 1, 2, 3, 4, 5});
  Sequence* b = bench.ScoreIds({0, 1, 2, 10, 11, 12});
  Sequence* c = bench.ScoreIds({0, 1, 2, 10, 20, 21});
  Sequence* d = bench.ScoreIds({0, 1, 2, 10});
  const Plan& plan = bench.scheduler.Schedule();
  ASSERT_THAT(plan.chunks, SizeIs(4));
  EXPECT_EQ(plan.tokens, 8);
  EXPECT_THAT(plan.RowsOf(plan.chunks[0]), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(plan.RowsOf(plan.chunks[1]), ElementsAre(0, 1, 2, 5, 6));
  EXPECT_THAT(plan.RowsOf(plan.chunks[2]), ElementsAre(0, 1, 2, 5, 7));
  EXPECT_THAT(plan.RowsOf(plan.chunks[3]), ElementsAre(0, 1, 2));
  EXPECT_EQ(plan.chunks[0].shared, 0);
  EXPECT_EQ(plan.chunks[1].shared, 3);
  EXPECT_EQ(plan.chunks[2].shared, 4);
  EXPECT_EQ(plan.chunks[3].shared, 3);
  // A page that is not full is nobody else's.
  for (const Sequence* sequence : {a, b, c, d}) {
    EXPECT_EQ(bench.pool.holders(sequence->pages[0]), 1);
  }
}

TEST(RowSharingPlanTest, WithTheCacheOffNothingIsShared) {
  SchedulerBench bench({64, 8, PrefixCache::kOff}, 20);
  for (int i = 0; i < 3; ++i) bench.Score(18, 0);
  bench.Step();
  EXPECT_EQ(bench.rows, 3 * 17);
}

TEST(RowSharingPlanTest, TheBudgetCountsRowsAndTheLimitSequences) {
  SchedulerBench bench({16, 6, PrefixCache::kOn}, 20);
  for (int i = 0; i < 8; ++i) bench.ScoreIds({0, 1, 2, 3, 4, 5, 6, 7, 8, 10 + i, 9});
  // Nine rows in common and one each; the last token of a score is not run.
  EXPECT_THAT(bench.Step(), ElementsAre(10, 10, 10, 10, 10, 10));
  EXPECT_EQ(bench.rows, 15);
  EXPECT_THAT(bench.scheduler.waiting(), SizeIs(2));
}

TEST(RowSharingPlanTest, ABudgetThatEndsWithinASharerCutsItsOwnRowsOnly) {
  SchedulerBench bench({12, 8, PrefixCache::kOn}, 20);
  bench.Score(10, 0);  // 9 rows
  bench.ScoreIds({0, 1, 2, 3, 4, 5, 20, 21, 22, 23, 24});
  EXPECT_THAT(bench.Step(), ElementsAre(9, 9));
  EXPECT_EQ(bench.rows, 12);
  EXPECT_THAT(bench.Step(), ElementsAre(1));
  EXPECT_EQ(bench.ended[1]->scores.size(), 10u);
}

TEST(RowSharingPlanTest, SequencesWithTheSamePageBehindThemShareWhatFollowsIt) {
  SchedulerBench bench(kCache, 20);
  bench.Generate(16, 1);
  bench.Step();
  bench.Generate(24, 1);
  bench.Generate(24, 1);
  bench.Generate(16, 2);  // its last token again, to draw after it
  bench.Generate(16, 2);
  EXPECT_THAT(bench.Step(), ElementsAre(8, 8, 1, 1));
  EXPECT_EQ(bench.rows, 8 + 1);
}

// What the first one stored of its page is in no row of this step: it is there once the page is
// full.
TEST(RowSharingPlanTest, APageThatWasBegunEarlierIsSharedWhenTheStepFillsIt) {
  SchedulerBench bench({7, 8, PrefixCache::kOn}, 20);
  const Sequence* first = bench.Generate(18, 2);
  bench.Step();
  bench.Step();
  ASSERT_EQ(first->stored, 14);
  const Sequence* second = bench.Generate(18, 2);
  const Sequence* shorter = bench.Generate(16, 2);
  EXPECT_THAT(bench.Step(), ElementsAre(4, 18, 16));
  EXPECT_EQ(bench.rows, 4);
  EXPECT_EQ(second->pages[0], first->pages[0]);
  EXPECT_NE(second->pages[1], first->pages[1]);
  EXPECT_EQ(shorter->pages[0], first->pages[0]);
}

TEST(RowSharingPlanTest, ATokenOfAnEarlierStepIsRunAgainByWhoNeedsWhatItPredicts) {
  SchedulerBench bench({7, 8, PrefixCache::kOn}, 20);
  bench.Generate(18, 2);
  bench.Step();
  bench.Step();
  bench.Score(18, 10);    // tokens 9 … 13 have no rows any more
  bench.Generate(15, 1);  // its page will not be full
  EXPECT_THAT(bench.Step(), ElementsAre(4, 3));
  EXPECT_EQ(bench.rows, 7);
}

TEST(RowSharingPlanTest, WhoFindsNoPagesGivesBackWhatItWouldHaveShared) {
  SchedulerBench bench(kCache, 4);
  const Sequence* first = bench.Generate(40, 1);
  bench.Generate(50, 1);  // shares 2 pages and misses 2 more; the first one keeps head room
  const Plan& plan = bench.scheduler.Schedule();
  ASSERT_THAT(plan.chunks, SizeIs(1));
  EXPECT_THAT(plan.rows, SizeIs(40));
  EXPECT_EQ(bench.pool.holders(first->pages[0]), 1);
  EXPECT_EQ(bench.pool.available(), 1);
}

TEST(RowSharingPlanTest, ASharedPageOutlivesTheSequenceThatComputedIt) {
  SchedulerBench bench(kCache, 6);
  bench.Generate(20, 1);
  Sequence* second = bench.Generate(20, 9);
  bench.Step();
  ASSERT_THAT(bench.ended, SizeIs(1));
  EXPECT_EQ(bench.pool.holders(second->pages[0]), 1);
  EXPECT_EQ(bench.pool.available(), 4);
}

TEST(RowSharingTest, ChoicesOfOneRequestShareItsPrompt) {
  StepBench bench;
  RecordingSink sinks[4];
  Request request = Generate(std::vector<int32_t>(40, 3), 4);
  request.sampling.temperature = 2;
  for (RecordingSink& sink : sinks) {
    bench.Add(request, sink);
    ++request.sampling.choice;
  }
  bench.RunAll();
  EXPECT_EQ(bench.model.rows(), 40 + 4 * 3);
  EXPECT_EQ(bench.model.stored_again(), 3 * 8);
  EXPECT_NE(sinks[0].Ids(), sinks[1].Ids());
  EXPECT_EQ(bench.metrics.hit, 3 * 40);
  EXPECT_EQ(sinks[0].outcome->cached_tokens, 0);
  EXPECT_EQ(sinks[3].outcome->cached_tokens, 40);
}

// Every next token of every other sequence has to come out of shared rows.
TEST(RowSharingTest, SharedRowsAnswerEachSequenceWhatItAsked) {
  for (const PrefixCache cache : {PrefixCache::kOff, PrefixCache::kOn}) {
    EngineOptions options;
    options.prefix_cache = cache;
    StepBench bench({}, options);
    std::vector<int32_t> text;
    for (int32_t i = 0; i < 40; ++i) text.push_back((i * 7) % 32);
    std::vector<Request> requests;
    for (int32_t i = 0; i < 12; ++i) {
      Request request = Score(text, i % 3);
      request.ids.resize(20 + i);
      request.ids.back() = 13 + i / 2;  // two of each: equal targets with unequal wishes
      request.top_n = (i * 5) % 4;
      request.max_new_tokens = i % 2;
      requests.push_back(request);
    }
    std::vector<RecordingSink> sinks(requests.size());
    int64_t tokens = 0;
    for (size_t i = 0; i < requests.size(); ++i) {
      bench.Add(requests[i], sinks[i]);
      tokens += static_cast<int64_t>(requests[i].ids.size()) - (i % 2 == 0 ? 1 : 0);
    }
    bench.RunAll();
    for (size_t i = 0; i < requests.size(); ++i) {
      const Request& request = requests[i];
      EXPECT_EQ(sinks[i].scores,
                bench.model.ExpectedScores(request.ids, *request.score_from, request.top_n));
      EXPECT_EQ(sinks[i].Ids(), bench.model.ExpectedGreedy(request.ids, request.max_new_tokens));
    }
    EXPECT_EQ(bench.model.steps(), 1);
    EXPECT_EQ(bench.metrics.last_finished.prompt_tokens, 31);
    // The common text up to the longest one's last id but one, and each one's own last id if it
    // runs.
    EXPECT_EQ(bench.model.rows(), cache == PrefixCache::kOn ? 30 + 6 : tokens);
    EXPECT_EQ(bench.metrics.step_tokens, bench.model.rows());
    EXPECT_EQ(bench.metrics.hit, tokens - bench.model.rows());
  }
}

TEST(RowSharingTest, ASequenceWhoseRowsAreAllSharedTakesPartInTheStep) {
  StepBench bench;
  RecordingSink a;
  RecordingSink b;
  bench.Add(Score({1, 2, 3, 4}, 0), a);
  bench.Add(Score({1, 2, 3, 5}, 0), b);
  bench.Step();
  EXPECT_EQ(bench.metrics.last_step.tokens, 3);
  EXPECT_EQ(bench.metrics.last_step.sequences, 2);
  EXPECT_EQ(b.scores, bench.model.ExpectedScores(std::vector<int32_t>{1, 2, 3, 5}, 0, 0));
}

TEST(RowSharingTest, AFailedStepEndsThoseWhoseRowsWereAllShared) {
  FakeModelOptions model_options;
  model_options.before_step = [](int64_t) { return absl::InternalError("device lost"); };
  StepBench bench(model_options);
  RecordingSink a;
  RecordingSink b;
  bench.Add(Score({1, 2, 3, 4}, 0), a);
  bench.Add(Score({1, 2, 3, 5}, 0), b);
  bench.Step();
  EXPECT_TRUE(absl::IsInternal(b.outcome->status));
}

TEST(RowSharingTest, SetsAreSummedWhereTheyAreAskedForAndBehindTheLastId) {
  StepBench bench;
  std::vector<uint8_t> id_sets(static_cast<size_t>(bench.model.limits().vocab_size), 2);
  id_sets[4] = id_sets[9] = 1;
  std::vector<int32_t> ids;  // more than a page
  for (int32_t i = 0; i < 20; ++i) ids.push_back(i * 7 % 11);
  Request request = Score(ids, 3);
  request.id_sets = id_sets;
  for (int i = 0; i < 18; ++i) request.sets.push_back(static_cast<uint8_t>(i % 4));
  Request other = request;
  std::ranges::reverse(other.sets);
  RecordingSink plain, first, second;
  bench.Add(Score(ids, 3), plain);
  bench.Add(request, first);
  bench.Add(other, second);
  bench.RunAll();
  ASSERT_THAT(first.scores, SizeIs(18));
  EXPECT_EQ(first.scores, bench.model.ExpectedScores(request));
  EXPECT_EQ(second.scores, bench.model.ExpectedScores(other));
  EXPECT_EQ(first.scores[0].set_logprob, 0);
  EXPECT_LT(first.scores[1].set_logprob, 0);
  EXPECT_NEAR(first.scores[3].set_logprob, 0, 1e-6);  // every id is in one of the two
  EXPECT_EQ(plain.scores.size(), 17u);
  // Stored pages do not know them; the ids are run again.
  RecordingSink again;
  const auto rows = bench.model.rows();
  bench.Add(request, again);
  bench.RunAll();
  EXPECT_EQ(again.scores, first.scores);
  EXPECT_EQ(bench.model.rows(), rows + 20);
}

}  // namespace
}  // namespace dyad::engine
