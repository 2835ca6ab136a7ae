// What people or other models reach on a task: a table that the user gives.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/json_line.h"

namespace dyad::client {

struct Baseline {
  std::string source = {};
  std::string row = {};  // as the task names it; "macro" and "overall" or "pooled" for its means
  double accuracy = 0;
  std::optional<int64_t> n = {};  // of what; for an interval
};

// Bytes and rows of such a file, at most.
inline constexpr int64_t kMaxBaselineBytes = int64_t{1} << 24;

// The rows of one task of a CSV or TSV file with the columns source, task, row, accuracy and n, in
// the file's order; those of other tasks are left out. An empty n is none.
// Errors: as CsvReader and RecordLines; InvalidArgument with line and column for a column that is
// missing, an accuracy outside 0 … 1, an n below 1, or a row that stands twice for a source.
absl::StatusOr<std::vector<Baseline>> ReadBaselines(const std::string& path,
                                                    const std::string& task);

// [{"source", "row", "accuracy", "n"}], n null where there is none.
Json BaselinesJson(const std::vector<Baseline>& baselines);

// A table: a line for each row that has a baseline, with this run's score and each source's;
// below it the rows that this run does not have. Empty if there are no baselines.
std::string BaselineTable(const std::vector<Baseline>& baselines,
                          const std::map<std::string, double>& scores);

}  // namespace dyad::client
