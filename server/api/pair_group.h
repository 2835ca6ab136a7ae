// Some pairs of a ScoreMinimalPairs stream: submitted together, and answered when the last one has
// ended.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "dyad/v1/scoring.pb.h"
#include "server/api/call.h"
#include "server/api/parse_score.h"
#include "server/api/sequence_group.h"

namespace dyad {

// No lock, as SequenceGroup.
class PairGroup {
 public:
  // `client` as Caller's. The deadline is the stream's business: it ends all pairs alike.
  // `on_end` is called once, from the engine's thread. It may destroy the group.
  PairGroup(const PairOptions& options, std::vector<PairPlan> plans, uint64_t client,
            std::function<void(PairGroup&)> on_end);

  // All pairs or none, as Admit.
  absl::Status Submit(const ServerState& state) {
    return sequences_.Submit(state, *options_.model);
  }
  // After a refusal: what the group was made of.
  std::vector<PairPlan> TakePlans();

  // Nobody reads the results. Any thread.
  void Abandon() { sequences_.Abandon(); }

  // When on_end is called: a result for each pair that ended, or failed by itself.
  std::vector<v1::PairScore> Results() const;
  // Not OK if a pair's end is the stream's: there was no time, no server or no client for it.
  absl::Status failure() const;
  // Tokens and times.
  void AddTo(Call& call) const;

  // What Submit hands to the engine, for tests that take the engine's place.
  std::vector<engine::Submission> TakeSubmissions() { return sequences_.TakeSubmissions(); }

 private:
  // One sentence.
  class Side final : public SequenceGroup::Member {
   public:
    Side(ScoreInput text, absl::Status& pair_status)
        : input(std::move(text)), pair_status_(pair_status) {}
    void OnScores(std::span<const engine::TokenScore> s) override {
      scores.assign(s.begin(), s.end());
    }

    ScoreInput input;
    std::vector<engine::TokenScore> scores;

   private:
    void OnSequenceEnd(const engine::Outcome& outcome) override {
      if (pair_status_.ok()) pair_status_ = outcome.status;
    }

    absl::Status& pair_status_;
  };

  struct Pair {
    explicit Pair(PairPlan plan)
        : index(plan.index), good(std::move(plan.good), status), bad(std::move(plan.bad), status) {}

    int64_t index;
    absl::Status status;  // the first failure of a side
    Side good;
    Side bad;
  };

  v1::PairScore Result(const Pair& pair) const;

  const PairOptions options_;
  std::function<void(PairGroup&)> on_end_;
  SequenceGroup sequences_;
  std::deque<Pair> pairs_;
};

}  // namespace dyad
