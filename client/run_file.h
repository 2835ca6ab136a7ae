// An output as it is found again: what run it is of, and how its answers stand.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "client/json_line.h"
#include "client/rows.h"

namespace dyad::client {

struct RunFile {
  Json header = {};
  RowLayout layout = {};  // of rows: format, prefix, and the name of their number
  int64_t begin = 0;      // the byte behind the header, if that is in the file
};

// Reads the header in a file's first line, or of CSV and TSV that in FILE.run.json. A table is told
// by its name, or by such a file and the format that stands in it.
// Errors: the system's; FailedPrecondition, naming the path, where there is no header.
absl::StatusOr<RunFile> ReadRunFile(const std::string& path);

}  // namespace dyad::client
