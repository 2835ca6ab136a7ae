// What an engine says of itself.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace dyad::engine {

// A moment's state, for health and load reports.
struct EngineStatus {
  int32_t waiting = 0;
  int32_t running = 0;
  int32_t free_pages = 0;          // those that the prefix cache could give up included
  absl::Duration since_last_step;  // 0 while there is no work
  // How long the queue takes to drain at the measured rate, for retry hints; [0.05 s, 60 s].
  absl::Duration retry_after;
};

}  // namespace dyad::engine
