// LayerNorms of a checkpoint.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/device.h"
#include "server/model/load_context.h"

namespace dyad {

enum class Affine { kNone, kPresent };

struct NormShape {
  int64_t features = 0;
  float epsilon = 1e-5f;
  Affine affine = Affine::kPresent;
};

// Takes PATH.weight and PATH.bias, both [features], where it is affine. Null in the checking pass.
absl::StatusOr<std::unique_ptr<kernels::Norm>> LoadNorm(LoadContext& context,
                                                        const std::string& path,
                                                        const NormShape& shape);

}  // namespace dyad
