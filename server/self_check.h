// Before anything is served: does the device compute what it should, and does a step run?
#pragma once

#include "absl/status/status.h"
#include "kernels/reference/device_check.h"
#include "server/engine/model.h"

namespace dyad {

// Each operator of the devices that `make` makes against its definition (kernels/reference). Cost:
// some milliseconds. Errors: Internal naming operator, instruction set, found and expected.
absl::Status CheckKernels(const kernels::reference::MakeDevice& make);

// One step over one token, so that the first caller does not pay for page faults and lazy set-up.
// Errors: Internal (the step's own, or a log-probability that is not finite).
absl::Status WarmUp(engine::Model& model);

}  // namespace dyad
