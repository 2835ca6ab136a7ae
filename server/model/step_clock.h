// Where the time of a step goes: a stopwatch that the forward pass stops after each part.
#pragma once

#include <chrono>

#include "server/engine/model.h"

namespace dyad {

// Cost: about 30 ns a mark, some ten marks a layer. Threads: one at a time.
class StepClock {
 public:
  void Start() {
    times_ = {};
    last_ = std::chrono::steady_clock::now();
  }
  // The time since the last mark, or Start, belongs to `part`.
  void Mark(engine::StepPart part) {
    const auto now = std::chrono::steady_clock::now();
    times_[part] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }
  const engine::StepTimes& times() const { return times_; }

 private:
  engine::StepTimes times_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace dyad
