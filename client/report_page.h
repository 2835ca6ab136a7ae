// One page about runs: what they are of, what they came to, what one may quote. It is one file that
// asks for nothing: no script, no request.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace dyad::client {

inline constexpr size_t kMaxRunsOnPage = 8;

// `paths`: outputs of pairs, blimp, evaluate and surprisal. `baselines`: a file (baselines.h), or
// empty. Runs over the same items stand side by side; of exactly two there is a comparison.
// Errors: those of reading the files.
absl::StatusOr<std::string> ReportPage(const std::vector<std::string>& paths,
                                       const std::string& baselines);

}  // namespace dyad::client
