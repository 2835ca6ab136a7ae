// Sequences that are submitted together and answered together: those of a call, or of some pairs of
// a stream.
//
//   Add, Add …  →  Submit  →  each member: OnScores, OnToken …, OnSequenceEnd  →  on_end
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "server/api/server_state.h"
#include "server/engine/request.h"

namespace dyad {

// Whether the first sequence that fails makes the others useless.
enum class OnFailure { kAbandonAll, kGoOn };

// Threads: one until Submit, then the engine's until on_end, then any one. Abandon: any.
class SequenceGroup {
 public:
  // What becomes of one sequence; by default nothing is generated and nothing kept.
  class Member : public engine::TokenSink {
   public:
    bool Wanted() const final { return group_->wanted_.load(std::memory_order_relaxed); }
    void OnScores(std::span<const engine::TokenScore>) override {}
    engine::Verdict OnToken(const engine::GeneratedToken&) override {
      return engine::Verdict::kStop;
    }
    void OnEnd(const engine::Outcome& outcome) final;

   private:
    friend class SequenceGroup;
    // This sequence ended; the group has not counted it yet.
    virtual void OnSequenceEnd(const engine::Outcome&) {}

    SequenceGroup* group_ = nullptr;
  };

  // `on_end` is called once, when the last sequence has ended, from the engine's thread, or from
  // Submit if there is none. It may destroy the group.
  SequenceGroup(OnFailure on_failure, std::function<void()> on_end);
  SequenceGroup(const SequenceGroup&) = delete;
  SequenceGroup& operator=(const SequenceGroup&) = delete;

  // `member` outlives on_end.
  void Add(engine::Request request, Member& member);

  // All or none, as Admit; after a refusal nothing is called and the group is of no further use.
  absl::Status Submit(const ServerState& state, const ServedModel& model);

  // What Submit hands to the engine, for tests that take the engine's place.
  std::vector<engine::Submission> TakeSubmissions() { return std::move(submissions_); }

  // Nobody waits for results any more: what still runs ends within one step.
  void Abandon() { wanted_.store(false, std::memory_order_relaxed); }

  // When on_end is called:
  const absl::Status& status() const { return status_; }    // the first failure
  const engine::Timing& timing() const { return timing_; }  // of the slowest sequence
  int64_t cached_tokens() const { return cached_tokens_; }  // of all

 private:
  void OnMemberEnd(const engine::Outcome& outcome);

  const OnFailure on_failure_;
  std::function<void()> on_end_;
  std::vector<engine::Submission> submissions_;
  int64_t running_ = 0;
  std::atomic<bool> wanted_ = true;
  absl::Status status_;
  engine::Timing timing_;
  int64_t cached_tokens_ = 0;
};

}  // namespace dyad
