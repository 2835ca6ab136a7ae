// The records of one file of a task: JSON lines, a JSON array, CSV or TSV.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/json_line.h"
#include "client/table.h"

namespace dyad::client {

struct FileRecord {
  std::string place;  // "line 3"; of a JSON array "item 3"
  std::string text;   // a line of JSON, or what stands in place of one
  absl::StatusOr<Json> json;
};

// Gives the records of `content` to `take`, in order, until it says no. JSON whose first character
// is a bracket is an array (client/json_array.h); other JSON is lines, of which blank ones and
// headers of runs are left out. Cells of CSV and TSV are strings; those of `json_columns` are read
// as JSON, an empty one as null. Errors: InvalidArgument with `name` and the place, for what is no
// such file; those of `take`.
absl::Status ReadFileRecords(const std::string& name, std::string_view content, TableFormat format,
                             const std::vector<std::string>& json_columns,
                             const std::function<absl::StatusOr<bool>(FileRecord)>& take);

}  // namespace dyad::client
