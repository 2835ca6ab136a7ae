// Before anything is served: does the device compute what it should, and does a step run?
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "kernels/attention.h"
#include "kernels/device.h"
#include "server/engine/model.h"

namespace dyad {

// How keys and values are kept on the devices that CheckKernels takes, in their order.
inline constexpr kernels::KvType kCheckedKvTypes[] = {
    kernels::KvType::kFloat32, kernels::KvType::kBfloat16, kernels::KvType::kInt8};

// Each operator against its definition (kernels/reference), of fresh devices, one for each of
// kCheckedKvTypes; a type that the device lacks is left out. Cost: some milliseconds. Errors:
// Internal naming operator, instruction set, found and expected.
absl::Status CheckKernels(const std::vector<std::unique_ptr<kernels::Device>>& devices);

// One step over one token, so that the first caller does not pay for page faults and lazy set-up.
// Errors: Internal (the step's own, or a log-probability that is not finite).
absl::Status WarmUp(engine::Model& model);

}  // namespace dyad
