// One function a format; all give the same records.
#include "client/file_records.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/json_array.h"
#include "client/record_lines.h"
#include "client/run_header.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

using TakeRecord = std::function<absl::StatusOr<bool>(FileRecord)>;

absl::Status RecordFault(const std::string& name, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", what));
}

absl::Status ReadJsonLines(std::string_view content, const TakeRecord& take) {
  int64_t number = 0;
  for (const absl::string_view piece : absl::StrSplit(AbslView(content), '\n')) {
    std::string line(piece);
    ++number;
    if (absl::StripAsciiWhitespace(line).empty() || IsHeaderLine(line)) continue;
    absl::StatusOr<Json> json = ParseLine(line);
    ASSIGN_OR_RETURN(const bool more,
                     take({absl::StrCat("line ", number), std::move(line), std::move(json)}));
    if (!more) break;
  }
  return absl::OkStatus();
}

absl::Status ReadItems(const std::string& name, std::string_view content, const TakeRecord& take) {
  ASSIGN_OR_RETURN(std::vector<Json> items, ReadJsonArray(name, content));
  int64_t number = 0;
  for (Json& item : items) {
    std::string text = FormatLine(item);
    ASSIGN_OR_RETURN(const bool more,
                     take({absl::StrCat("item ", ++number), std::move(text), std::move(item)}));
    if (!more) break;
  }
  return absl::OkStatus();
}

absl::Status ReadJsonCells(const std::vector<std::string>& columns, Json& row) {
  for (const std::string& column : columns) {
    const auto cell = row.find(column);
    if (cell == row.end()) continue;
    const std::string text = cell->get<std::string>();
    if (text.empty()) {
      *cell = nullptr;
      continue;
    }
    absl::StatusOr<Json> value = ParseJson(text);
    if (!value.ok()) {
      return absl::InvalidArgumentError(Text("the column ", column, " must hold JSON, found ",
                                             Quoted(text), ": ", value.status().message()));
    }
    *cell = *std::move(value);
  }
  return absl::OkStatus();
}

absl::Status ReadTable(const std::string& name, std::string_view content, TableFormat format,
                       const std::vector<std::string>& json_columns, const TakeRecord& take) {
  RecordLines records(name, SeparatorOf(format), BytesOf(content));
  RETURN_IF_ERROR(records.ReadColumns().status());
  while (true) {
    ASSIGN_OR_RETURN(std::optional<Json> row, records.Next());
    if (!row.has_value()) return absl::OkStatus();
    const std::string place = absl::StrCat("line ", records.line());
    if (const absl::Status cells = ReadJsonCells(json_columns, *row); !cells.ok()) {
      return RecordFault(name, absl::StrCat(place, ": ", cells.message()));
    }
    std::string text = FormatLine(*row);
    ASSIGN_OR_RETURN(const bool more, take({place, std::move(text), *std::move(row)}));
    if (!more) return absl::OkStatus();
  }
}

}  // namespace

absl::Status ReadFileRecords(const std::string& name, std::string_view content, TableFormat format,
                             const std::vector<std::string>& json_columns,
                             const std::function<absl::StatusOr<bool>(FileRecord)>& take) {
  if (format != TableFormat::kJsonLines) {
    return ReadTable(name, content, format, json_columns, take);
  }
  content = WithoutByteOrderMark(content);
  if (content.find('\0') != std::string_view::npos) {
    return RecordFault(name, "has a zero byte: a binary file, or UTF-16");
  }
  return BeginsJsonArray(content) ? ReadItems(name, content, take) : ReadJsonLines(content, take);
}

}  // namespace dyad::client
