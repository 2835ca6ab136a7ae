// A clock that moves when a test says so.
#pragma once

#include "absl/time/time.h"

namespace dyad::testing {

// Threads: one at a time.
class HandClock {
 public:
  absl::Time Now() const { return now_; }
  void Advance(absl::Duration by) { now_ += by; }

 private:
  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
};

}  // namespace dyad::testing
