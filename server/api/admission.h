// The one door from calls to an engine.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "server/api/server_state.h"
#include "server/engine/request.h"

namespace dyad {

// Reason of the ErrorInfo of what is refused for lack of room or time; it comes with RetryInfo.
inline constexpr char kQueueFull[] = "QUEUE_FULL";

// Submits all or none (engine::Engine::Submit), unless the server drains. Refusals carry reason and
// details: ResourceExhausted QUEUE_FULL with RetryInfo, Unavailable DRAINING.
absl::Status Admit(const ServerState& state, const ServedModel& model,
                   std::vector<engine::Submission> submissions);

}  // namespace dyad
