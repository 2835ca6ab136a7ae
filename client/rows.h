// Answers of several rows each, in files of JSON lines, CSV or TSV. Own columns come first, in
// their order, then the answer's: the number of the input's row, from 0, is the first of them
// ("item", if the layout does not name it otherwise), "run" the last. An item that failed has one
// row with its error.
#pragma once

#include <cstdint>
#include <functional>
#include <istream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/json_line.h"
#include "client/table.h"

namespace dyad::client {

struct RowLayout {
  TableFormat format = TableFormat::kJsonLines;
  std::vector<std::string> own = {};  // columns of CSV and TSV
  std::string item = "item";          // the name of the row's number
  // Between the number and "run", without prefix.
  std::vector<std::string> columns = {};
  std::string prefix = {};  // of every column of the answer

  std::string Name(const std::string& column) const { return prefix + column; }
  bool has_header_beside() const { return format != TableFormat::kJsonLines; }
};

// The names of the answer's columns. Errors: InvalidArgument naming the first that is an own column
// too.
absl::StatusOr<std::vector<std::string>> AnswerColumns(const RowLayout& layout,
                                                       const std::vector<std::string>& own);

// Whether a row of the input has no column of the answer's, `ours`, and none beside `own`, where
// that names columns: of JSON lines each row may have its own. Errors: InvalidArgument naming the
// key.
absl::Status CheckRowKeys(const std::vector<std::string>& ours, const std::vector<std::string>& own,
                          const Json& row);

// What stands in front of all rows: the columns' names; of JSON lines nothing.
std::string HeadOfRows(const RowLayout& layout);

// The rows of item `number`, as objects. `answer`: a list of objects with layout.columns.
std::vector<Json> RowsOf(const RowLayout& layout, int64_t number, const Json& own,
                         const std::string& run, const absl::StatusOr<Json>& answer);

// Rows as text, with line feeds.
std::string TextOfRows(const RowLayout& layout, const std::vector<Json>& rows);

// The cells of a row by their columns, as TextOfRows writes them: of CSV and TSV strings.
Json WrittenRow(const RowLayout& layout, const Json& row);

struct OldRow {
  int64_t item = 0;
  bool is_error = false;
  Json row;                    // as WrittenRow
  int64_t begin = 0, end = 0;  // bytes in the file
};

// Gives each whole row of the file to `take`, in order; a last one without line feed is torn, and
// passed over. `at`: bytes read of it already (JSON lines: its header). Columns are those of the
// file. Errors: FailedPrecondition for a row that is none of `run`; those of `take`.
absl::Status ReadRows(std::istream& file, int64_t at, const RowLayout& layout,
                      const std::string& run, const std::function<absl::Status(OldRow)>& take);

}  // namespace dyad::client
