// What came of a load, for people or as JSON.
#pragma once

#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "tests/bench/load.h"

namespace dyad::bench {

// Prints a table, or with --json one object that also has what `about` says of the target.
// Errors: InvalidArgument if no request was due; the first error if none succeeded, after printing.
absl::Status ReportLoad(const LoadOptions& options, const LoadResult& result,
                        const nlohmann::json& about);

}  // namespace dyad::bench
