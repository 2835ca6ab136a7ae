// Submits to an engine and tells a refused client when to come back.
#include "server/api/admission.h"

#include <utility>

#include "server/api/request_error.h"
#include "server/engine/engine.h"

namespace dyad {

absl::Status Admit(const ServerState& state, const ServedModel& model,
                   std::vector<engine::Submission> submissions) {
  if (state.draining) {
    return WithReason(absl::UnavailableError("the server is shutting down; ask another one"),
                      "DRAINING");
  }
  absl::Status status = model.engine->Submit(std::move(submissions));
  if (absl::IsResourceExhausted(status)) {
    const absl::Duration retry_after = model.engine->Status().retry_after;
    return WithRetryAfter(WithReason(std::move(status), kQueueFull), retry_after);
  }
  if (absl::IsUnavailable(status)) return WithReason(std::move(status), "DRAINING");
  return status;
}

}  // namespace dyad
