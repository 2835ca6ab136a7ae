// Reads the files of a benchmark (such as github.com/alexwarstadt/blimp, data/*.jsonl) from a
// folder or an archive.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/json_line.h"
#include "client/table.h"

namespace dyad::client {

// Bytes of all lines; BLiMP has 29 MB. More is refused: an archive may unpack to anything.
inline constexpr int64_t kMaxCorpusBytes = int64_t{1} << 30;

struct Corpus {
  std::vector<std::string> lines;
  std::vector<std::string> files;  // of a folder, relative to it; none of another path
};

// How the lines of a corpus are read.
struct CorpusReading {
  // A line without this key gets the name of its file, without endings, as that: in the supplements
  // of BLiMP only the file names the paradigm.
  std::string file_key = "UID";
  // Looks at each line; an error of it ends the reading, with file and line in front. Absent: a
  // line that is no JSON stays as it is, and gets its error in the output.
  std::function<absl::Status(const Json& line)> check = {};
  std::optional<int64_t> limit = {};  // at most this many lines of each file
  // Of all files. Absent: of a single file by its name, in folders and archives JSON lines.
  std::optional<TableFormat> format = {};
  // A key of the task, and that of the files, in whose place it is put. Of CSV and TSV the cells of
  // options, label, numops and ratio are JSON.
  std::map<std::string, std::string> columns = {};
};

// The lines of every *.jsonl file (or *.jsonl.gz) below a folder, inside a tar or zip archive
// (compressed or not), or of one file, as objects of JSON; with another `format` those of *.csv or
// *.tsv. Files in the order of their names; what records are says client/file_records.h.
// Errors: the system's, NotFound (no such file), InvalidArgument (broken, or what is in it is no
// file, a missing column, or `check`), ResourceExhausted (kMaxCorpusBytes); each names the path.
absl::StatusOr<Corpus> ReadCorpus(const std::string& path, const CorpusReading& reading);

}  // namespace dyad::client
