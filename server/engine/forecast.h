// How long things will take, from what steps took lately: retry hints, and whether a sequence can
// end before its deadline.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace dyad::engine {

// What a step did.
struct StepLoad {
  int64_t admitted_tokens = 0;  // ids of sequences that left the queue to run
  int32_t running = 0;          // sequences
  int32_t waiting = 0;          // sequences, after the step
};

// What a sequence asks for.
struct SequenceWork {
  int64_t prefill_steps = 0;
  int32_t new_tokens = 0;  // at most
};

constexpr SequenceWork WorkOf(int64_t prompt_tokens, int32_t new_tokens, int32_t max_batch_tokens) {
  return {(prompt_tokens + max_batch_tokens - 1) / max_batch_tokens, new_tokens};
}

// ResourceExhausted.
absl::Status CannotEndInTime(absl::Duration needed, absl::Duration left);

// Sums that fade with a time constant of 5 s of steps. A value: no clock, no thread.
class Forecast {
 public:
  void OnStep(const StepLoad& load, absl::Duration duration);
  // A sequence ended by itself after `generated` of at most `allowed` tokens.
  void OnGenerated(int32_t generated, int32_t allowed);

  // How long `tokens` ids take to leave the queue, at the rate of the steps that left somebody
  // waiting. 0 before there was one; may be infinite.
  absl::Duration TimeInQueue(int64_t tokens) const;
  // The same as a hint for retries, within [0.05 s, 60 s]; 1 s before anything was measured.
  absl::Duration RetryAfter(int64_t waiting_tokens) const;

  // From its admission to its end, where `running` sequences run in all. New tokens count by the
  // share of those allowed that sequences generated lately. 0 before anything was measured.
  absl::Duration TimeToRun(const SequenceWork& work, int32_t running) const;

 private:
  double StepSeconds(double running) const;

  // Of steps that left somebody waiting.
  double admitted_ = 0;
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
