// The flags that say how a model is loaded: those of `model` and `engine`.
#pragma once

#include "absl/status/statusor.h"
#include "server/model/load_model.h"

namespace dyad::bench {

// Errors: InvalidArgument: a word that --weight_dtype or --kv_dtype do not know.
absl::StatusOr<ModelOptions> ModelFromFlags();
// Of --arithmetic, which of those the CPU has. Errors: as above.
absl::StatusOr<kernels::Arithmetic> ArithmeticFromFlags();

}  // namespace dyad::bench
