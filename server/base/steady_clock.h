// The clock for durations and deadlines. The wall clock is set now and then, by people and by time
// servers; this one only moves forward.
#pragma once

#include <chrono>

#include "absl/time/time.h"

namespace dyad {

// Only differences mean something: the time is that since the machine started, counted from 1970.
inline absl::Time SteadyNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace dyad
