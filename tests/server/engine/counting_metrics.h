// Sums of what an engine reports.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "server/metrics/metrics.h"

namespace dyad::testing {

// Threads: any. `last_step` only from the thread that steps.
class CountingMetrics final : public ModelMetrics {
 public:
  void OnAccepted(int32_t sequences) override { accepted += sequences; }
  void OnRejected(int32_t sequences) override { rejected += sequences; }
  void OnStep(const StepStats& stats) override {
    last_step = stats;
    if (stats.tokens > 0) ++steps;
    step_tokens += stats.tokens;
  }
  void OnFirstToken(absl::Duration) override { ++first_tokens; }
  void OnInterToken(absl::Duration) override { ++inter_tokens; }
  void OnFinished(const SequenceStats& stats) override {
    last_finished = stats;
    ++finished;
    ++reasons[static_cast<size_t>(stats.reason)];
    prompt_tokens += stats.prompt_tokens;
    generated_tokens += stats.generated_tokens;
    scored_tokens += stats.scored_tokens;
  }
  void OnPreempted() override { ++preempted; }
  void OnPrefixCache(int32_t query_tokens, int32_t hit_tokens) override {
    queried += query_tokens;
    hit += hit_tokens;
  }
  int64_t Ended(EndReason reason) const { return reasons[static_cast<size_t>(reason)]; }

  std::atomic<int64_t> accepted{0}, rejected{0}, finished{0};
  std::atomic<int64_t> steps{0}, step_tokens{0}, first_tokens{0}, inter_tokens{0};
  std::atomic<int64_t> prompt_tokens{0}, generated_tokens{0}, scored_tokens{0};
  std::atomic<int64_t> preempted{0}, queried{0}, hit{0};
  std::array<std::atomic<int64_t>, 9> reasons = {};
  StepStats last_step;
  SequenceStats last_finished;
};

}  // namespace dyad::testing
