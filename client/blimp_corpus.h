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

struct Corpus {
  std::vector<std::string> lines;
  std::vector<std::string> files;  // of a folder, relative to it; none of another path
};

// The lines of every *.jsonl file (or *.jsonl.gz) below a folder, inside a tar or zip archive
// (compressed or not), or of one such file; files in the order of their names; blank lines and
// headers of runs are left out. A line without "UID" gets the name of its file as that: in the
// supplements of BLiMP only the file names the paradigm. `limit`: at most this many lines of each
// file. Errors: the system's, NotFound (no *.jsonl), InvalidArgument (broken, or what is in it is
// no file), ResourceExhausted (kMaxCorpusBytes); each names the path.
absl::StatusOr<Corpus> ReadBlimp(const std::string& path, std::optional<int64_t> limit);

}  // namespace dyad::client
