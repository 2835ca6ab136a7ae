// Reads the BLiMP files (github.com/alexwarstadt/blimp, data/*.jsonl) from a folder or an archive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace dyad::client {

// Bytes of all lines; BLiMP has 29 MB. More is refused: an archive may unpack to anything.
inline constexpr int64_t kMaxCorpusBytes = int64_t{1} << 30;

// The lines of every *.jsonl file below a folder, or inside a tar file (plain or compressed), files
// in the order of their names; empty lines are left out. `limit`: at most this many lines of each
// file. Errors: NotFound (no such path, or no *.jsonl in it), InvalidArgument (no archive, or a
// broken one), ResourceExhausted (kMaxCorpusBytes); each names the path.
absl::StatusOr<std::vector<std::string>> ReadBlimp(const std::string& path,
                                                   std::optional<int64_t> limit);

}  // namespace dyad::client
