// Some pairs and choices of a ScoreMinimalPairs stream: submitted together, and answered when the
// last one has ended.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "dyad/v1/scoring.pb.h"
#include "server/api/call.h"
#include "server/api/parse_score.h"
#include "server/api/score_result.h"
#include "server/api/sequence_group.h"

namespace dyad {

// No lock, as SequenceGroup.
class ComparisonGroup {
 public:
  // `client` as Caller's. The deadline is the stream's business: it ends all alike.
  // `on_end` is called once, from the engine's thread. It may destroy the group.
  ComparisonGroup(const PairOptions& options, std::vector<ComparisonPlan> plans, uint64_t client,
                  std::function<void(ComparisonGroup&)> on_end);

  // All or none, as Admit.
  absl::Status Submit(const ServerState& state) {
    return sequences_.Submit(state, *options_.model);
  }
  // After a refusal: what the group was made of.
  std::vector<ComparisonPlan> TakePlans();

  // Nobody reads the results. Any thread.
  void Abandon() { sequences_.Abandon(); }

  // When on_end is called: a result for each that ended, or failed by itself.
  std::vector<ComparisonResult> Results() const;
  // Not OK if the end of one is the stream's: there was no time, no server or no client for it.
  absl::Status failure() const;
  // Tokens and times.
  void AddTo(Call& call) const;

  // What Submit hands to the engine, for tests that take the engine's place.
  std::vector<engine::Submission> TakeSubmissions() { return sequences_.TakeSubmissions(); }

 private:
  // One text.
  class Side final : public SequenceGroup::Member {
   public:
    Side(ScoreInput text, absl::Status& status) : input(std::move(text)), status_(status) {}
    void OnScores(std::span<const engine::TokenScore> s) override {
      scores.assign(s.begin(), s.end());
    }

    ScoreInput input;
    std::vector<engine::TokenScore> scores;

   private:
    void OnSequenceEnd(const engine::Outcome& outcome) override {
      if (status_.ok()) status_ = outcome.status;
    }

    absl::Status& status_;
  };

  struct Comparison {
    ComparisonPlan plan;  // without its texts
    absl::Status status;  // the first failure of a side
    std::deque<Side> sides;
  };

  ComparisonResult Result(const Comparison& comparison) const;

  const PairOptions options_;
  std::function<void(ComparisonGroup&)> on_end_;
  SequenceGroup sequences_;
  std::deque<Comparison> comparisons_;
};

}  // namespace dyad
