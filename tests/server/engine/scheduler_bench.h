// A scheduler cranked by hand: sequences in, plans out.
#pragma once

#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/scheduler.h"
#include "tests/server/engine/recording_sink.h"

namespace dyad::testing {

// A scheduler with its pages, and a stand-in for what the step runner does with a plan.
class SchedulerBench {
 public:
  explicit SchedulerBench(const engine::SchedulerLimits& limits, int32_t pages)
      : pool(pages), tree(pool), scheduler(limits, pool, tree) {}

  // A sequence of `length` ids, first, first + 1, …
  engine::Sequence* Generate(int32_t length, int32_t max_new_tokens, int32_t first = 0) {
    engine::Request request;
    request.ids.resize(length);
    std::iota(request.ids.begin(), request.ids.end(), first);
    request.max_new_tokens = max_new_tokens;
    return Add(std::move(request));
  }

  engine::Sequence* Score(int32_t length, int32_t score_from, int32_t first = 0,
                          int32_t top_n = 0) {
    engine::Request request;
    request.ids.resize(length);
    std::iota(request.ids.begin(), request.ids.end(), first);
    request.score_from = score_from;
    request.top_n = top_n;
    return Add(std::move(request));
  }

  engine::Sequence* ScoreIds(std::vector<int32_t> ids) {
    engine::Request request;
    request.ids = std::move(ids);
    request.score_from = 0;
    return Add(std::move(request));
  }

  engine::Sequence* Add(engine::Request request) {
    auto sequence = std::make_unique<engine::Sequence>(
        engine::Submission{std::move(request), &sink}, absl::UnixEpoch());
    engine::Sequence* added = sequence.get();
    scheduler.Add(std::move(sequence));
    return added;
  }

  // Runs one step: stores chunks, makes up scores and tokens, ends what is complete.
  // Returns the tokens of each planned chunk, and notes who was preempted.
  std::vector<int32_t> Step() {
    const engine::Plan& plan = scheduler.Schedule();
    preempted = plan.preempted;
    rows = plan.tokens;
    std::vector<int32_t> tokens;
    for (const engine::PlannedChunk& chunk : plan.chunks) {
      engine::Sequence& sequence = *chunk.sequence;
      tokens.push_back(chunk.tokens);
      EXPECT_GE(static_cast<int32_t>(sequence.pages.size()),
                engine::PagesFor(sequence.stored + chunk.tokens));
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

  engine::PagePool pool;
  engine::PrefixTree tree;
  engine::Scheduler scheduler;
  RecordingSink sink;
  std::vector<std::unique_ptr<engine::Sequence>> ended;
  std::vector<engine::Sequence*> preempted;  // in the last step
  int32_t rows = 0;                          // of the last step
};

}  // namespace dyad::testing
