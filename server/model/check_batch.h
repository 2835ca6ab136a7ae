// Does a batch keep engine::Batch's contract? The engine guarantees it; a bug there must not become
// a wild write on a device.
#pragma once

#include "absl/status/status.h"
#include "server/engine/model.h"

namespace dyad {

// Cost: one look at every number of the batch. Errors: Internal, naming what, found and expected.
absl::Status CheckBatch(const engine::Batch& batch, const engine::ModelLimits& limits);

}  // namespace dyad
