// How long things will take, from what steps took lately: retry hints, and whether a sequence can
// end before its deadline.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace dyad::engine {

// What a step did.
struct StepLoad {
  int64_t rows = 0;
  int32_t running = 0;  // sequences
  int32_t waiting = 0;  // sequences, after the step
};

// Sequences in a queue, their ids, and what they may generate.
struct QueuedWork {
  int32_t sequences = 0;
  int64_t tokens = 0;
  int64_t new_tokens = 0;

  void Add(const QueuedWork& other) {
    sequences += other.sequences;
    tokens += other.tokens;
    new_tokens += other.new_tokens;
  }
  QueuedWork operator-() const { return {-sequences, -tokens, -new_tokens}; }
};

// What leaves a queue of `all` before a client's next sequence, where `own` of it waits already and
// `clients` take turns: as much of each client.
constexpr QueuedWork WorkAhead(const QueuedWork& own, const QueuedWork& all, int32_t clients) {
  return {std::min(all.sequences, own.sequences * clients),
          std::min(all.tokens, own.tokens * clients),
          std::min(all.new_tokens, own.new_tokens * clients)};
}

// What a sequence asks for.
struct SequenceWork {
  int64_t prefill_steps = 0;
  int32_t new_tokens = 0;  // at most
};

constexpr SequenceWork WorkOf(int64_t prompt_tokens, int32_t new_tokens, int32_t max_batch_tokens) {
  return {(prompt_tokens + max_batch_tokens - 1) / max_batch_tokens, new_tokens};
}

// Whether what is forecast to take `needed` may not end in the time left. What is let in may yet be
// slowed by what comes after it: a third is kept in reserve.
constexpr double kReserve = 1.5;
inline bool TooLong(absl::Duration needed, absl::Duration left) { return kReserve * needed > left; }

// ResourceExhausted.
absl::Status CannotEndInTime(absl::Duration needed, absl::Duration left);

// Sums that fade with a time constant of 2 s of steps. A value: no clock, no thread.
class Forecast {
 public:
  void OnStep(const StepLoad& load, absl::Duration duration);
  // A sequence ended by itself after `generated` of at most `allowed` tokens.
  void OnGenerated(int32_t generated, int32_t allowed);

  // How long queued work takes at the rows a second of the steps that left somebody waiting. New
  // tokens count by the share of those allowed that sequences generated lately. 0 before there was
  // such a step; may be infinite.
  absl::Duration TimeInQueue(const QueuedWork& work) const;
  // The same as a hint for retries, within [0.05 s, 60 s]; 1 s before anything was measured.
  absl::Duration RetryAfter(const QueuedWork& work) const;

  // From its admission to its end, where `running` sequences run in all. 0 before anything was
  // measured.
  absl::Duration TimeToRun(const SequenceWork& work, int32_t running) const;
  // Both: of a sequence that has `ahead` before it in the queue.
  absl::Duration TimeToEnd(const QueuedWork& ahead, const SequenceWork& work,
                           int32_t running) const {
    return TimeInQueue(ahead) + TimeToRun(work, running);
  }

 private:
  double StepSeconds(double running) const;
  double GeneratedShare() const { return allowed_ > 0 ? generated_ / allowed_ : 1; }

  // Of steps that left somebody waiting.
  double rows_ = 0;
  double saturated_seconds_ = 0;
  // Of all steps, for the line seconds = a + b · running.
  double steps_ = 0;
  double seconds_ = 0;
  double running_ = 0;
  double running_squared_ = 0;
  double running_seconds_ = 0;
  // Of tokens, the last thousand sequences or so.
  double generated_ = 0;
  double allowed_ = 0;
};

}  // namespace dyad::engine
