// The policy, step by step, on hand-made sequences: no model, no clock, no thread.
#include "server/engine/scheduler.h"

#include <memory>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/engine/recording_sink.h"

namespace dyad::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A scheduler with its pages, and a stand-in for what the step runner does with a plan.
class Bench {
 public:
  explicit Bench(const SchedulerLimits& limits, int32_t pages)
      : pool(pages), tree(pool), scheduler(limits, pool, tree) {}

  // A sequence of `length` ids, first, first + 1, …
  Sequence* Generate(int32_t length, int32_t max_new_tokens, int32_t first = 0) {
    Request request;
    request.ids.resize(length);
    std::iota(request.ids.begin(), request.ids.end(), first);
    request.max_new_tokens = max_new_tokens;
    return Add(std::move(request));
  }

  Sequence* Score(int32_t length, int32_t score_from, int32_t first = 0, int32_t top_n = 0) {
    Request request;
    request.ids.resize(length);
    std::iota(request.ids.begin(), request.ids.end(), first);
    request.score_from = score_from;
    request.top_n = top_n;
    return Add(std::move(request));
  }

  Sequence* ScoreIds(std::vector<int32_t> ids) {
    Request request;
    request.ids = std::move(ids);
    request.score_from = 0;
    return Add(std::move(request));
  }

  Sequence* Add(Request request) {
    auto sequence =
        std::make_unique<Sequence>(Submission{std::move(request), &sink}, absl::UnixEpoch());
    Sequence* added = sequence.get();
    scheduler.Add(std::move(sequence));
    return added;
  }

  // Runs one step: stores chunks, makes up scores and tokens, ends what is complete.
  // Returns the tokens of each planned chunk, and notes who was preempted.
  std::vector<int32_t> Step() {
    const Plan& plan = scheduler.Schedule();
    preempted = plan.preempted;
    rows = plan.tokens;
    std::vector<int32_t> tokens;
    for (const PlannedChunk& chunk : plan.chunks) {
      Sequence& sequence = *chunk.sequence;
      tokens.push_back(chunk.tokens);
      EXPECT_GE(static_cast<int32_t>(sequence.pages.size()),
                PagesFor(sequence.stored + chunk.tokens));
      while (sequence.scores_missing() && sequence.next_score() <= sequence.stored + chunk.tokens) {
        sequence.scores.push_back({-1.0f * static_cast<float>(sequence.next_score()), 1, {}});
      }
      scheduler.Store(sequence, chunk.tokens);
      if (sequence.remaining() > 0) continue;
      if (sequence.generates()) sequence.ids.push_back(7);
      if (sequence.generated() == sequence.request.max_new_tokens) {
        scheduler.End(sequence, absl::OkStatus());
      }
    }
    for (auto& sequence : scheduler.TakeEnded()) ended.push_back(std::move(sequence));
    return tokens;
  }

  PagePool pool;
  PrefixTree tree;
  Scheduler scheduler;
  dyad::testing::RecordingSink sink;
  std::vector<std::unique_ptr<Sequence>> ended;
  std::vector<Sequence*> preempted;  // in the last step
  int32_t rows = 0;                  // of the last step
};

constexpr SchedulerLimits kNoCache = {16, 8, PrefixCache::kOff};
constexpr SchedulerLimits kCache = {64, 8, PrefixCache::kOn};

TEST(SchedulerTest, APromptRunsInChunksOfTheBudget) {
  Bench bench(kNoCache, 10);
  bench.Generate(40, 1);
  EXPECT_THAT(bench.Step(), ElementsAre(16));
  EXPECT_THAT(bench.Step(), ElementsAre(16));
  EXPECT_THAT(bench.Step(), ElementsAre(8));
  EXPECT_THAT(bench.ended, SizeIs(1));
  EXPECT_EQ(bench.pool.available(), 10);
  EXPECT_THAT(bench.Step(), IsEmpty());
}

TEST(SchedulerTest, DecodesComeBeforePrefillAndPrefillBeforeAdmission) {
  Bench bench(kNoCache, 20);
  Sequence* decoding = bench.Generate(4, 10);
  bench.Step();
  Sequence* long_prompt = bench.Generate(40, 1);
  Sequence* last = bench.Generate(3, 1);
  const Plan* plan = &bench.scheduler.Schedule();
  ASSERT_THAT(plan->chunks, SizeIs(2));
  EXPECT_EQ(plan->chunks[0].sequence, decoding);
  EXPECT_EQ(plan->chunks[0].tokens, 1);
  EXPECT_EQ(plan->chunks[1].sequence, long_prompt);
  EXPECT_EQ(plan->chunks[1].tokens, 15);
  EXPECT_EQ(plan->tokens, 16);
  bench.scheduler.Store(*long_prompt, 15);
  bench.scheduler.Store(*long_prompt, 15);
  plan = &bench.scheduler.Schedule();
  ASSERT_THAT(plan->chunks, SizeIs(3));
  EXPECT_EQ(plan->chunks[1].tokens, 10);
  EXPECT_EQ(plan->chunks[2].sequence, last);
}

TEST(SchedulerTest, TheQueueIsFirstInFirstOut) {
  Bench bench({4, 2, PrefixCache::kOff}, 20);
  for (int i = 0; i < 5; ++i) bench.Generate(2, 1);
  bench.Step();
  EXPECT_THAT(bench.ended, SizeIs(2));
  EXPECT_EQ(bench.scheduler.waiting_tokens(), 6);
  for (int i = 0; i < 2; ++i) bench.Step();
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(bench.ended[i]->order, i);
  EXPECT_EQ(bench.scheduler.waiting_tokens(), 0);
}

TEST(SchedulerTest, RunsAtMostTheAllowedNumberOfSequences) {
  Bench bench({100, 3, PrefixCache::kOff}, 20);
  for (int i = 0; i < 5; ++i) bench.Generate(2, 4);
  bench.Step();
  EXPECT_THAT(bench.scheduler.running(), SizeIs(3));
  EXPECT_THAT(bench.scheduler.waiting(), SizeIs(2));
}

TEST(SchedulerTest, MoreDecodesThanTheBudgetRunOldestFirst) {
  Bench bench({2, 8, PrefixCache::kOff}, 20);
  Sequence* a = bench.Generate(1, 3);
  Sequence* b = bench.Generate(1, 3);
  bench.Step();
  bench.Generate(1, 3);
  const Plan& plan = bench.scheduler.Schedule();
  ASSERT_THAT(plan.chunks, SizeIs(2));
  EXPECT_EQ(plan.chunks[0].sequence, a);
  EXPECT_EQ(plan.chunks[1].sequence, b);
}

TEST(SchedulerTest, AnAdmissionTakesAllPagesOfThePromptAndNobodyPassesTheHead) {
  Bench bench(kNoCache, 4);
  bench.Generate(40, 4);  // 3 pages
  bench.Step();
  EXPECT_EQ(bench.pool.available(), 1);
  bench.Generate(20, 4);  // 2 pages: has to wait
  bench.Generate(1, 1);   // would fit, but comes later
  EXPECT_THAT(bench.Step(), ElementsAre(16));
  EXPECT_THAT(bench.scheduler.waiting(), SizeIs(2));
}

TEST(SchedulerTest, AdmissionLeavesEachGeneratingSequenceAPageToGrow) {
  Bench bench(kNoCache, 3);
  bench.Generate(1, 20);
  bench.Generate(1, 20);
  bench.Generate(1, 20);
  bench.Step();
  EXPECT_THAT(bench.scheduler.running(), SizeIs(2));
  EXPECT_EQ(bench.pool.available(), 1);
}

TEST(SchedulerTest, PreemptsTheYoungestWhenPagesRunOut) {
  Bench bench(kNoCache, 5);
  Sequence* old = bench.Generate(14, 60);
  Sequence* young = bench.Generate(14, 60);
  while (bench.preempted.empty()) bench.Step();
  EXPECT_THAT(bench.preempted, ElementsAre(young));
  EXPECT_FALSE(young->running);
  EXPECT_THAT(young->pages, IsEmpty());
  EXPECT_EQ(young->stored, 0);
  EXPECT_GT(young->generated(), 0);
  EXPECT_EQ(bench.scheduler.waiting_tokens(), young->length());
  EXPECT_TRUE(old->running);
  while (bench.ended.size() < 2) bench.Step();
  EXPECT_EQ(bench.ended[0].get(), old);
  EXPECT_EQ(bench.pool.available(), 5);
}

TEST(SchedulerTest, AYoungestThatNeedsThePageItselfWaits) {
  Bench bench({64, 8, PrefixCache::kOff}, 3);
  Sequence* old = bench.Generate(32, 3);  // 2 pages, its third with the first token
  Sequence* young = bench.Generate(16, 3);
  bench.Step();
  EXPECT_FALSE(young->running);  // the head room is kept for the old one
  bench.Step();
  EXPECT_THAT(old->pages, SizeIs(3));
  while (bench.ended.size() < 2) bench.Step();
  EXPECT_EQ(bench.ended[0].get(), old);
}

TEST(SchedulerTest, APreemptedSequenceWaitsAheadOfThoseThatCameLater) {
  Bench bench({64, 2, PrefixCache::kOff}, 4);
  bench.Generate(16, 40);
  Sequence* young = bench.Generate(16, 40);
  Sequence* later = bench.Generate(16, 2);
  while (young->running || young->generated() == 0) bench.Step();
  ASSERT_THAT(bench.scheduler.waiting(), SizeIs(2));
  EXPECT_EQ(bench.scheduler.waiting()[0].get(), young);
  EXPECT_EQ(bench.scheduler.waiting()[1].get(), later);
}

TEST(SchedulerTest, APreemptedSequenceFindsItsOwnPagesAgain) {
  Bench bench({64, 8, PrefixCache::kOn}, 5);
  bench.Generate(14, 20);
  Sequence* young = bench.Generate(36, 24, 100);
  while (bench.preempted.empty()) bench.Step();
  EXPECT_EQ(bench.preempted.front(), young);
  std::vector<int32_t> tokens;
  while (!young->running) tokens = bench.Step();
  EXPECT_LE(tokens.back(), 17);  // of 49
}

TEST(SchedulerTest, TheLastTokenOfAScoreIsNotRun) {
  Bench bench(kNoCache, 4);
  bench.Score(10, 0);
  EXPECT_THAT(bench.Step(), ElementsAre(9));
  EXPECT_THAT(bench.ended, SizeIs(1));
}

TEST(SchedulerTest, WhatScoresNothingNeedsNoRow) {
  Bench bench(kNoCache, 4);
  bench.Score(1, 0);
  bench.Score(10, 10);
  EXPECT_THAT(bench.Step(), ElementsAre(0, 0));
  EXPECT_THAT(bench.ended, SizeIs(2));
  EXPECT_THAT(bench.ended[1]->scores, IsEmpty());
}

TEST(SchedulerTest, APromptSeenBeforeIsNotComputedAgain) {
  Bench bench(kCache, 10);
  bench.Generate(40, 1);
  EXPECT_THAT(bench.Step(), ElementsAre(40));
  Sequence* again = bench.Generate(40, 2);
  EXPECT_THAT(bench.Step(), ElementsAre(8));
  EXPECT_EQ(again->tree_pages, 2);
  Sequence* longer = bench.Generate(50, 1);
  bench.Step();
  EXPECT_EQ(bench.ended.back().get(), longer);
}

TEST(SchedulerTest, AHitOnTheWholePromptRunsItsLastTokenAgain) {
  Bench bench(kCache, 10);
  bench.Generate(32, 1);
  bench.Step();
  bench.Generate(32, 1);
  EXPECT_THAT(bench.Step(), ElementsAre(1));
}

TEST(SchedulerTest, ScoresComeFromTheCacheWithTheRowBeforeTheNextOneRunAgain) {
  Bench bench(kCache, 10);
  bench.Score(40, 0);
  EXPECT_THAT(bench.Step(), ElementsAre(39));
  Sequence* again = bench.Score(40, 0);
  EXPECT_THAT(bench.Step(), ElementsAre(8));  // rows 31 … 38
  EXPECT_EQ(again->scores, bench.ended[0]->scores);
  Sequence* within = bench.Score(32, 5);  // ends where a page ends: no row at all
  EXPECT_THAT(bench.Step(), ElementsAre(0));
  EXPECT_THAT(within->scores, SizeIs(27));
  EXPECT_EQ(within->scores[0].logprob, -5);
}

TEST(SchedulerTest, APageWithoutTheWantedScoresEndsTheHitAndIsFilledIn) {
  Bench bench(kCache, 10);
  bench.Generate(40, 1);
  bench.Step();
  bench.Score(40, 20);  // page 0 needs no score, page 1 lacks them
  EXPECT_THAT(bench.Step(), ElementsAre(23));
  bench.Score(40, 20);
  EXPECT_THAT(bench.Step(), ElementsAre(8));
  bench.Score(40, 0);
  EXPECT_THAT(bench.Step(), ElementsAre(39));
  bench.Score(40, 0);
  EXPECT_THAT(bench.Step(), ElementsAre(8));
  EXPECT_EQ(bench.pool.available(), 10);
  EXPECT_EQ(bench.pool.idle(), 2);
}

TEST(SchedulerTest, ScoresWithCompetitorsBypassTheCache) {
  Bench bench(kCache, 10);
  bench.Score(40, 0);
  bench.Step();
  bench.Score(40, 0, 0, 3);
  EXPECT_THAT(bench.Step(), ElementsAre(39));
}

TEST(SchedulerTest, EqualPromptsSubmittedTogetherAreComputedOnceAndShareFullPages) {
  Bench bench(kCache, 20);
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
TEST(SchedulerTest, SequencesThatBeginAlikeShareRows) {
  Bench bench(kCache, 20);
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

TEST(SchedulerTest, WithTheCacheOffNothingIsShared) {
  Bench bench({64, 8, PrefixCache::kOff}, 20);
  for (int i = 0; i < 3; ++i) bench.Score(18, 0);
  bench.Step();
  EXPECT_EQ(bench.rows, 3 * 17);
}

TEST(SchedulerTest, TheBudgetCountsRowsAndTheLimitSequences) {
  Bench bench({16, 6, PrefixCache::kOn}, 20);
  for (int i = 0; i < 8; ++i) bench.ScoreIds({0, 1, 2, 3, 4, 5, 6, 7, 8, 10 + i, 9});
  // Nine rows in common and one each; the last token of a score is not run.
  EXPECT_THAT(bench.Step(), ElementsAre(10, 10, 10, 10, 10, 10));
  EXPECT_EQ(bench.rows, 15);
  EXPECT_THAT(bench.scheduler.waiting(), SizeIs(2));
}

TEST(SchedulerTest, ABudgetThatEndsWithinASharerCutsItsOwnRowsOnly) {
  Bench bench({12, 8, PrefixCache::kOn}, 20);
  bench.Score(10, 0);  // 9 rows
  bench.ScoreIds({0, 1, 2, 3, 4, 5, 20, 21, 22, 23, 24});
  EXPECT_THAT(bench.Step(), ElementsAre(9, 9));
  EXPECT_EQ(bench.rows, 12);
  EXPECT_THAT(bench.Step(), ElementsAre(1));
  EXPECT_EQ(bench.ended[1]->scores.size(), 10u);
}

TEST(SchedulerTest, SequencesWithTheSamePageBehindThemShareWhatFollowsIt) {
  Bench bench(kCache, 20);
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
TEST(SchedulerTest, APageThatWasBegunEarlierIsSharedWhenTheStepFillsIt) {
  Bench bench({7, 8, PrefixCache::kOn}, 20);
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

TEST(SchedulerTest, ATokenOfAnEarlierStepIsRunAgainByWhoNeedsWhatItPredicts) {
  Bench bench({7, 8, PrefixCache::kOn}, 20);
  bench.Generate(18, 2);
  bench.Step();
  bench.Step();
  bench.Score(18, 10);    // tokens 9 … 13 have no rows any more
  bench.Generate(15, 1);  // its page will not be full
  EXPECT_THAT(bench.Step(), ElementsAre(4, 3));
  EXPECT_EQ(bench.rows, 7);
}

TEST(SchedulerTest, WhoFindsNoPagesGivesBackWhatItWouldHaveShared) {
  Bench bench(kCache, 4);
  const Sequence* first = bench.Generate(40, 1);
  bench.Generate(50, 1);  // shares 2 pages and misses 2 more; the first one keeps head room
  const Plan& plan = bench.scheduler.Schedule();
  ASSERT_THAT(plan.chunks, SizeIs(1));
  EXPECT_THAT(plan.rows, SizeIs(40));
  EXPECT_EQ(bench.pool.holders(first->pages[0]), 1);
  EXPECT_EQ(bench.pool.available(), 1);
}

TEST(SchedulerTest, ASharedPageOutlivesTheSequenceThatComputedIt) {
  Bench bench(kCache, 6);
  bench.Generate(20, 1);
  Sequence* second = bench.Generate(20, 9);
  bench.Step();
  ASSERT_THAT(bench.ended, SizeIs(1));
  EXPECT_EQ(bench.pool.holders(second->pages[0]), 1);
  EXPECT_EQ(bench.pool.available(), 4);
}

TEST(SchedulerTest, IdlePagesAreReclaimedFromTheEndOfAPrefix) {
  Bench bench({64, 8, PrefixCache::kOn}, 4);
  bench.Generate(48, 1);  // leaves 3 idle pages
  bench.Step();
  bench.Generate(32, 1, 1000);  // takes the free one and one of those
  bench.Step();
  bench.Generate(48, 1);
  EXPECT_THAT(bench.Step(), ElementsAre(16));  // two pages of the three were still there
}

TEST(SchedulerTest, EndedSequencesLeaveFromAnywhereAndReturnTheirPages) {
  Bench bench({64, 2, PrefixCache::kOff}, 10);
  Sequence* a = bench.Generate(20, 5);
  Sequence* b = bench.Generate(20, 5);
  Sequence* c = bench.Generate(20, 5);
  Sequence* d = bench.Generate(7, 5);
  bench.Step();
  ASSERT_TRUE(b->running && !c->running);
  bench.scheduler.End(*c, absl::CancelledError("gone"));
  bench.scheduler.End(*a, absl::CancelledError("gone"));
  bench.scheduler.End(*a, absl::InternalError("too late"));
  const auto ended = bench.scheduler.TakeEnded();
  ASSERT_THAT(ended, SizeIs(2));
  EXPECT_TRUE(absl::IsCancelled(ended[1]->outcome->status));
  EXPECT_THAT(bench.scheduler.running(), SizeIs(1));
  EXPECT_EQ(bench.scheduler.waiting()[0].get(), d);
  EXPECT_EQ(bench.scheduler.waiting_tokens(), 7);
  EXPECT_EQ(bench.pool.available(), 8);
}

}  // namespace
}  // namespace dyad::engine
