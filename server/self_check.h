// Before anything is served: does the device compute what it should, and does a step run?
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "kernels/device.h"
#include "server/engine/model.h"

namespace dyad {

// Each operator against its definition (kernels/reference), of three fresh devices: with keys and
// values in float32, in bfloat16, and in int8 where the device has them. Cost: some milliseconds. Errors: Internal naming operator,
// instruction set, found and expected.
absl::Status CheckKernels(const std::vector<std::unique_ptr<kernels::Device>>& devices);

// One step over one token, so that the first caller does not pay for page faults and lazy set-up.
// Errors: Internal (the step's own, or a log-probability that is not finite).
absl::Status WarmUp(engine::Model& model);

}  // namespace dyad
