// Linear layers of a checkpoint: dense and DYAD, told apart by their tensors, packed for
// the device.
//
//   dense  PATH.weight [out, in], PATH.bias [out]
//   DYAD   PATH.wl, PATH.wu [blocks, out/blocks, in/blocks], PATH.bias [out, 1] (or [out])
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/device.h"
#include "server/model/load_context.h"

namespace dyad {

struct LinearSize {
  int64_t in = 0;
  int64_t out = 0;
};

enum class Bias { kNone, kPresent };

// Takes the tensors of the layer at `path`, and writes the layer into the tally. Null in the
// checking pass.
// Errors: InvalidArgument: tensors missing, of another kind than structured_linear says or of wrong
// shapes; blocks that do not divide, or are not dyad_dim; values that are not finite.
absl::StatusOr<std::unique_ptr<kernels::Layer>> LoadLinear(LoadContext& context,
                                                           const std::string& path, LinearSize size,
                                                           Bias bias);

}  // namespace dyad
