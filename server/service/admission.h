// The one door from the handlers to an engine.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "server/engine/engine.h"
#include "server/service/rpc_call.h"

namespace dyad {

// Submits all or none (engine::Engine::Submit), unless the server drains. Refusals carry reason and
// details: ResourceExhausted QUEUE_FULL with RetryInfo, Unavailable DRAINING.
absl::Status Admit(const ServiceState& state, const ServedModel& model,
                   std::vector<engine::Submission> submissions);

}  // namespace dyad
