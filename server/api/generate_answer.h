// The answer to one Generate call, in pieces or as a whole: carries tokens from the engine's thread
// to whoever writes them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dyad/v1/generation.pb.h"
#include "server/api/call.h"
#include "server/api/choice_writer.h"
#include "server/api/parse_generate.h"
#include "server/api/sequence_group.h"
#include "server/base/mutex.h"

namespace dyad {

// What a call generates. Not empty; all of one model, with as many choices each.
using GenerationPlans = std::vector<GenerationPlan>;

// ParseGenerate of each, and what the call's record says of them. Errors: also CheckAnswerBytes. Of
// several requests, fields are named as in "requests[3].text".
absl::StatusOr<GenerationPlans> PlanPrompts(std::span<const v1::GenerateRequest> requests,
                                            Call& call);
absl::StatusOr<GenerationPlans> PlanGenerate(const v1::GenerateRequest& request, Call& call);

// What can be written next.
struct GeneratePart {
  // Adds to its choice; empty in the last part.
  v1::Choice piece;
  std::optional<absl::Status> end;  // the last part: how the call ends
};

// When a choice has a piece: whenever something was added and not taken, or once it has ended.
enum class Delivery { kPieces, kWhole };

// One writer takes one part at a time: it calls Next when its last write is done. What is added
// meanwhile gathers and leaves together, so a slow writer costs larger pieces, not a growing queue.
// Pieces that gather count as waiting to be read (Call::unread): without room for them the call
// ends with that refusal. Choices that have something take turns.
//
// Threads: the engine's adds; Next and Abandon from any. Lifetime: until Next gave the last part;
// after that, or when Next gave nothing, the caller must not touch this any more unless something
// else keeps it alive.
class GenerateAnswer {
 public:
  // Choices are numbered from 0, those of the first plan first; all or none run.
  // `on_ready`: there is a part, for the first time or after Next gave none. It calls Next; it runs
  // on the engine's thread, or within Start. `call` belongs to the answer until the last part.
  GenerateAnswer(GenerationPlans plans, Call& call, Delivery delivery,
                 std::function<void()> on_ready);

  // Submits. A refusal is the last part. Once.
  void Start();

  // Nobody reads the rest: there are no more pieces, and the last part comes within a step.
  void Abandon() ABSL_LOCKS_EXCLUDED(mutex_);

  // The next part, or none yet: then on_ready will be called.
  std::optional<GeneratePart> Next() ABSL_LOCKS_EXCLUDED(mutex_);

  // After the last part: everything of the response but choices.
  v1::GenerateResponse Summary() const;

 private:
  class ChoiceSequence final : public SequenceGroup::Member {
   public:
    ChoiceSequence(GenerateAnswer& answer, const GenerationPlan& plan, int32_t index);
    void OnScores(std::span<const engine::TokenScore> scores) override;
    engine::Verdict OnToken(const engine::GeneratedToken& token) override;

    // What was not taken yet; an empty Choice takes its place. With the answer's mutex_ held.
    v1::Choice Take() ABSL_NO_THREAD_SAFETY_ANALYSIS;

   private:
    void OnSequenceEnd(const engine::Outcome& outcome) override;
    void MarkReady() ABSL_EXCLUSIVE_LOCKS_REQUIRED(answer_.mutex_);
    // unsent_ has grown by so many bytes.
    void Count(size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(answer_.mutex_);

    GenerateAnswer& answer_;
    const int32_t index_;
    ChoiceWriter writer_;
    v1::Choice unsent_ ABSL_GUARDED_BY(answer_.mutex_);
    // Of unsent_, as the call's unread().
    int64_t unsent_bytes_ ABSL_GUARDED_BY(answer_.mutex_) = 0;
    bool waiting_ ABSL_GUARDED_BY(answer_.mutex_) = false;  // in ready_
  };

  void End(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  void DropPieces() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True, once, if the writer waits and there is a part: then on_ready is to be called, with mutex_
  // released.
  bool WakesWriter() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasPiece() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !ready_.empty() && !abandoned_;
  }

  const GenerationPlans plans_;
  Call& call_;
  const Delivery delivery_;
  const std::function<void()> on_ready_;
  SequenceGroup sequences_;
  std::deque<ChoiceSequence> choices_;

  Mutex mutex_;
  bool writer_waits_ ABSL_GUARDED_BY(mutex_) = true;
  bool abandoned_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status no_room_ ABSL_GUARDED_BY(mutex_);  // for pieces that gather
  // Choices with a piece, the one that has waited longest first.
  std::deque<int32_t> ready_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
};

// The same answer as one message.
class WholeGenerateAnswer {
 public:
  // `on_end` is called once, as on_ready above; it may destroy this.
  WholeGenerateAnswer(GenerationPlans plans, Call& call,
                      std::function<void(absl::StatusOr<v1::GenerateResponse>)> on_end);
  void Start() { answer_.Start(); }
  void Abandon() { answer_.Abandon(); }

 private:
  void Gather();

  std::function<void(absl::StatusOr<v1::GenerateResponse>)> on_end_;
  std::vector<v1::Choice> choices_;
  GenerateAnswer answer_;
};

}  // namespace dyad
