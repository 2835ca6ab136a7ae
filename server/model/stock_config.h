// config.json of a network with structured layers -> that of the same network with dense ones.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace dyad {

// Keys of structures and of code beside the checkpoint are gone, model_type and architectures are
// those of transformers' own network, and all else is as it was. `dtype`: of all numbers, if they
// have one type now; empty: what the text says. Errors: those of ParseConfig.
absl::StatusOr<std::string> StockConfig(std::string_view json, std::string_view dtype);

}  // namespace dyad
