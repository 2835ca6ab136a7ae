// One pair of a ScoreMinimalPairs stream, from its two texts to its result.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dyad/v1/scoring.pb.h"
#include "server/engine/engine.h"
#include "server/service/convention.h"

namespace dyad {

// What a stream's first message set for all its pairs.
struct PairOptions {
  const ServedModel* model = nullptr;
  const ConventionRow* row = nullptr;
  SpecialTokens special_tokens = SpecialTokens::kParse;
  bool return_tokens = false;
};

// Hears of pairs from the engine's thread.
class PairOwner {
 public:
  virtual ~PairOwner() = default;
  virtual bool PairsWanted() const = 0;
  // Both sentences ended. The owner gets the pair back, and nothing of the engine's points to it
  // any more.
  virtual void OnPairEnd(class PairInFlight* pair) = 0;
};

// Owned by whoever holds the unique_ptr; while the engine has its sinks, by itself: the owner
// releases it before Submit and takes it back in OnPairEnd (or when Submit refuses).
class PairInFlight {
 public:
  // Errors: as LayOutText.
  static absl::StatusOr<std::unique_ptr<PairInFlight>> Create(const PairOptions& options,
                                                              const RequestLimits& limits,
                                                              const v1::MinimalPair& pair,
                                                              PairOwner& owner);

  // What the engine is to run; empty if nothing is scored. May be asked for again after a refusal.
  std::vector<engine::Submission> Submissions(absl::Time deadline);

  // After OnPairEnd, or if there was nothing to submit.
  const absl::Status& status() const { return status_; }  // the first failure
  v1::PairScore Result() const;
  int64_t index() const { return index_; }
  int64_t prompt_tokens() const;
  int64_t scored_tokens() const;
  int64_t cached_tokens() const { return cached_tokens_; }
  const engine::Timing& timing() const { return timing_; }  // of the sentence that ended last

 private:
  class Side final : public engine::TokenSink {
   public:
    bool Wanted() const override { return pair->owner_.PairsWanted(); }
    void OnScores(std::span<const engine::TokenScore> s) override {
      scores.assign(s.begin(), s.end());
    }
    engine::Verdict OnToken(const engine::GeneratedToken&) override {
      return engine::Verdict::kStop;
    }
    void OnEnd(const engine::Outcome& outcome) override { pair->OnSideEnd(outcome); }

    PairInFlight* pair = nullptr;
    ScoreInput input;
    std::vector<engine::TokenScore> scores;
  };

  PairInFlight(const PairOptions& options, int64_t index, PairOwner& owner);
  void OnSideEnd(const engine::Outcome& outcome);

  const PairOptions& options_;
  const int64_t index_;
  PairOwner& owner_;
  Side good_;
  Side bad_;
  int running_ = 0;
  int64_t cached_tokens_ = 0;
  engine::Timing timing_;
  absl::Status status_;
};

}  // namespace dyad
