// The flags that say what load to make: those of `server` and `engine`.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/load.h"

namespace dyad::bench {

// Errors: InvalidArgument: a flag out of its range.
absl::StatusOr<LoadOptions> LoadFromFlags();

// Whether prompts and answers fit the model. Errors: InvalidArgument with the sizes.
absl::Status CheckFits(const LoadOptions& options, const std::string& model,
                       int64_t context_length);

}  // namespace dyad::bench
