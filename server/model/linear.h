// Linear layers of a checkpoint, of any family of kernels/structures: told apart by their tensors,
// compiled, and packed for the device.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/device.h"
#include "kernels/structures/structures.h"
#include "server/model/load_context.h"

namespace dyad {

struct LinearSize {
  int64_t in = 0;
  int64_t out = 0;
};

using kernels::Bias;

// Takes the tensors of the layer at `path`, and writes the layer into the tally. Null in the
// checking pass.
// Errors: InvalidArgument: tensors missing, of another kind than structured_linear says or of wrong
// shapes; options that do not fit; values that are not finite.
absl::StatusOr<std::unique_ptr<kernels::Layer>> LoadLinear(LoadContext& context,
                                                           const std::string& path, LinearSize size,
                                                           Bias bias);

}  // namespace dyad
