// The policy, step by step, on hand-made sequences: no model, no clock, no thread.
#include "server/engine/scheduler.h"

#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/engine/scheduler_bench.h"

namespace dyad::engine {
namespace {

using Bench = ::dyad::testing::SchedulerBench;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr SchedulerLimits kNoCache = {16, 8, PrefixCache::kOff};
constexpr SchedulerLimits kSchedulerCache = {64, 8, PrefixCache::kOn};

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
  EXPECT_EQ(bench.scheduler.Queued().tokens, 6);
  for (int i = 0; i < 2; ++i) bench.Step();
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(bench.ended[i]->order, i);
  EXPECT_EQ(bench.scheduler.Queued().tokens, 0);
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
  EXPECT_EQ(bench.scheduler.Queued().tokens, young->length());
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
  Bench bench(kSchedulerCache, 10);
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
  Bench bench(kSchedulerCache, 10);
  bench.Generate(32, 1);
  bench.Step();
  bench.Generate(32, 1);
  EXPECT_THAT(bench.Step(), ElementsAre(1));
}

TEST(SchedulerTest, ScoresComeFromTheCacheWithTheRowBeforeTheNextOneRunAgain) {
  Bench bench(kSchedulerCache, 10);
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
  Bench bench(kSchedulerCache, 10);
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
  Bench bench(kSchedulerCache, 10);
  bench.Score(40, 0);
  bench.Step();
  bench.Score(40, 0, 0, 3);
  EXPECT_THAT(bench.Step(), ElementsAre(39));
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
  EXPECT_EQ(bench.scheduler.Queued().tokens, 7);
  EXPECT_EQ(bench.pool.available(), 8);
}

// The client's number is the first id.
Sequence* From(Bench& bench, uint64_t client, int32_t length, int32_t max_new_tokens) {
  Request request;
  request.ids.assign(length, static_cast<int32_t>(client));
  request.max_new_tokens = max_new_tokens;
  request.client = client;
  return bench.Add(std::move(request));
}

TEST(SchedulerTest, TheClientThatRunsLeastHasTheTurn) {
  Bench bench({64, 4, PrefixCache::kOff}, 20);
  std::vector<Sequence*> of_one;
  for (int i = 0; i < 6; ++i) of_one.push_back(From(bench, 1, 2, 2));
  Sequence* two = From(bench, 2, 2, 9);
  Sequence* three = From(bench, 3, 2, 9);
  bench.Step();
  EXPECT_TRUE(of_one[0]->running);
  EXPECT_TRUE(two->running);
  EXPECT_TRUE(three->running);
  EXPECT_TRUE(of_one[1]->running);
  EXPECT_FALSE(of_one[2]->running);
}

TEST(SchedulerTest, AClientWithNothingRunningTakesThePlaceOfTheYoungestOfTheBusiest) {
  Bench bench({64, 4, PrefixCache::kOff}, 40);
  From(bench, 1, 2, 50);
  for (int i = 0; i < 2; ++i) From(bench, 2, 2, 50);
  Sequence* victim = From(bench, 2, 2, 50);
  for (int i = 0; i < 9; ++i) From(bench, 2, 2, 50);
  bench.Step();
  EXPECT_TRUE(victim->running);
  Sequence* guest = From(bench, 3, 2, 3);
  Sequence* second = From(bench, 3, 2, 3);
  bench.Step();
  EXPECT_THAT(bench.preempted, ElementsAre(victim));
  EXPECT_TRUE(guest->running);
  EXPECT_FALSE(second->running) << "it has its turn when a place is free";
  bench.Step();
  EXPECT_THAT(bench.preempted, IsEmpty());
  while (bench.ended.size() < 15) bench.Step();
  EXPECT_EQ(bench.pool.available(), 40);
}

TEST(SchedulerTest, AClientWithNothingRunningAlsoGetsPages) {
  Bench bench({64, 8, PrefixCache::kOff}, 10);
  for (int i = 0; i < 3; ++i) From(bench, 1, 17, 10);  // 2 pages each
  bench.Step();
  EXPECT_EQ(bench.pool.available(), 4);  // the guest's 2, and 1 for each that generates, are 5
  Sequence* guest = From(bench, 2, 17, 10);
  bench.Step();
  EXPECT_THAT(bench.preempted, SizeIs(1));
  EXPECT_TRUE(guest->running);
}

TEST(SchedulerTest, APlaceIsNotMadeTwiceWhereTheBudgetIsUsedUp) {
  Bench bench({3, 3, PrefixCache::kOff}, 20);
  for (int i = 0; i < 3; ++i) From(bench, 1, 1, 20);
  bench.Step();
  From(bench, 2, 1, 1);
  bench.Step();
  EXPECT_THAT(bench.preempted, SizeIs(1));
  bench.Step();
  EXPECT_THAT(bench.preempted, IsEmpty());
}

TEST(SchedulerTest, ClientsThatRunOneEachWaitForEachOther) {
  Bench bench({64, 2, PrefixCache::kOff}, 20);
  From(bench, 1, 1, 20);
  From(bench, 2, 1, 20);
  bench.Step();
  From(bench, 3, 1, 1);
  bench.Step();
  EXPECT_THAT(bench.preempted, IsEmpty());
}

}  // namespace
}  // namespace dyad::engine
