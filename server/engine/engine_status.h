// What an engine says of itself.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace dyad::engine {

// A moment's state, for health, metrics and load reports.
struct EngineStatus {
  int32_t waiting = 0;
  int32_t running = 0;
  int32_t free_pages = 0;          // those that the prefix cache could give up included
  int32_t failed_steps = 0;        // in a row, until now
  std::string lost;                // why the model's device computes no more; empty: it does
  absl::Duration since_last_step;  // 0 while there is no work
  // When the oldest was submitted, by SteadyNow(); InfiniteFuture: there is none.
  absl::Time waiting_since = absl::InfiniteFuture();
  absl::Time running_since = absl::InfiniteFuture();
  // How long the queue takes to drain at the measured rate, for retry hints; [0.05 s, 60 s].
  absl::Duration retry_after;
};

// Why the engine makes no progress; empty if it does: work is pending and no step has ended for
// `stall_timeout`, the device is lost, or the last three steps failed.
std::string StallReason(const EngineStatus& status, absl::Duration stall_timeout);

}  // namespace dyad::engine
