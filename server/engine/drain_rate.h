// How fast the waiting queue empties, for retry hints.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace dyad::engine {

// Tokens of sequences that left the queue to run, per second of steps; what is older counts less,
// with a time constant of 5 s. A value: no clock, no thread.
class DrainRate {
 public:
  // A step of this duration took sequences with so many ids from the queue.
  void OnStep(int64_t admitted_tokens, absl::Duration duration);

  // How long `waiting_tokens` take to leave, within [0.05 s, 60 s]; 1 s before anything was
  // measured.
  absl::Duration TimeToDrain(int64_t waiting_tokens) const;

 private:
  double tokens_ = 0;
  double seconds_ = 0;
};

}  // namespace dyad::engine
