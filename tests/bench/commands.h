// The commands of dyad-bench: each is one file, NAME_command.cc, which also defines the flags that
// only it reads.
#pragma once

#include <span>

#include "absl/flags/declare.h"
#include "absl/status/status.h"

ABSL_DECLARE_FLAG(int, threads);  // in [1, 256]: main checks it
ABSL_DECLARE_FLAG(bool, json);

namespace dyad::bench {

// What stands on the command line after the command's name; main checks how many there are.
using Operands = std::span<char* const>;

// Each prints its results to standard output: a table, or with --json one JSON object.
absl::Status RunRoof(Operands operands);
absl::Status RunLinear(Operands operands);
absl::Status RunAttention(Operands operands);
absl::Status RunModel(Operands operands);
absl::Status RunServer(Operands operands);
absl::Status RunEngine(Operands operands);

}  // namespace dyad::bench
