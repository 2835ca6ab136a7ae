// Tables that are read and written as JSON lines, CSV or TSV.
#pragma once

#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/json_line.h"
#include "client/line_input.h"

namespace dyad::client {

enum class TableFormat { kJsonLines, kCsv, kTsv };

// By the file's suffix, a .gz behind it aside: .jsonl, .csv or .tsv. Nothing for another.
std::optional<TableFormat> FormatOfName(const std::string& path);

// What is read as such a file: the same, and .json, which is JSON lines or an array.
std::optional<TableFormat> InputFormatOfName(const std::string& path);

// ".jsonl", ".csv" or ".tsv".
std::string SuffixOf(TableFormat format);

// "jsonl", "csv" or "tsv".
std::optional<TableFormat> FormatOfWord(const std::string& word);

// The character between columns.
inline char SeparatorOf(TableFormat format) { return format == TableFormat::kTsv ? '\t' : ','; }

// A value as a cell: a string as it is, null empty, anything else as JSON.
std::string CellText(const Json& value);

struct TableInput {
  // Rows as JSON objects; of CSV and TSV every value is a string.
  LineInput lines;
  // The first record of CSV and TSV; of JSON lines the keys of the first line.
  std::vector<std::string> columns;
};

// Whether the table has columns of these names; one without rows may have any. `key`: which of
// --columns says where they are; empty: none does. Errors: InvalidArgument with `path` and the
// name.
absl::Status CheckHasColumns(const TableInput& table, const std::string& path,
                             const std::vector<std::string>& names, const std::string& key);

// `path` "-" means `standard_input`. Errors: as LineInput::Open and CsvReader (csv.h);
// InvalidArgument for a name that stands twice, and with line and column for a record of more or
// fewer cells than the first one has.
absl::StatusOr<TableInput> OpenTable(const std::string& path, TableFormat format,
                                     std::istream& standard_input);

}  // namespace dyad::client
