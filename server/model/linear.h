// Linear layers of a checkpoint, of any family of kernels/structures: told apart by their tensors,
// compiled, and packed for the device.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/device.h"
#include "kernels/structures/structures.h"
#include "server/model/load_context.h"

namespace dyad {

using kernels::Bias;

// Takes the tensors of the layer at `path`, and writes the layer into the tally. Null in the
// checking pass.
// Errors: InvalidArgument: tensors missing, of another kind than structured_linear says or of wrong
// shapes; options that do not fit; values that are not finite.
absl::StatusOr<std::unique_ptr<kernels::Layer>> LoadLinear(LoadContext& context,
                                                           const std::string& path, LinearSize size,
                                                           Bias bias);

// A layer as one matrix.
struct DenseMatrix {
  std::vector<float> weight;  // [out, in]
  std::vector<float> bias;    // [out], or empty
};

// Multiplies out, in double, a layer that LoadLinear took in the checking pass, and reads it for
// that. Memory: kernels::Densify's. REQUIRES: its rows do not choose what they run.
// Errors: InvalidArgument: values that are not finite.
absl::StatusOr<DenseMatrix> MultiplyOut(LoadContext& context, const LinearPlace& place);

}  // namespace dyad
