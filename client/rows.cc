// One row is one object; a format only writes it.
#include "client/rows.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/csv.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

constexpr char kRun[] = "run", kError[] = "error";

std::vector<std::string> AllColumns(const RowLayout& layout) {
  std::vector<std::string> all = layout.own;
  all.push_back(layout.Name(layout.item));
  for (const std::string& column : layout.columns) all.push_back(layout.Name(column));
  all.push_back(layout.Name(kRun));
  all.push_back(layout.Name(kError));
  return all;
}

std::string ErrorCell(const Json& error) {
  if (!error.is_object()) return CellText(error);
  return absl::StrCat(error.value("code", ""), ": ", error.value("message", ""));
}

absl::Status NoRow(int64_t number) {
  return absl::FailedPreconditionError(absl::StrCat("row ", number, " is none of this run"));
}

// The row's item and whether it is an error; nothing if it is none of `run`.
std::optional<OldRow> Recognise(const RowLayout& layout, const std::string& run, Json row) {
  const std::string item = layout.Name(layout.item), error = layout.Name(kError);
  if (!row.contains(layout.Name(kRun)) || row[layout.Name(kRun)] != Json(run)) return std::nullopt;
  OldRow old;
  if (!row.contains(item) || !absl::SimpleAtoi(CellText(row[item]), &old.item) || old.item < 0) {
    return std::nullopt;
  }
  old.is_error = row.contains(error) && !CellText(row[error]).empty();
  old.row = std::move(row);
  return old;
}

absl::Status ReadLines(std::istream& file, int64_t at, const RowLayout& layout,
                       const std::string& run, const std::function<absl::Status(OldRow)>& take) {
  int64_t number = 0;
  for (std::string line; std::getline(file, line) && !file.eof();) {
    ++number;
    absl::StatusOr<Json> json = ParseLine(line);
    if (!json.ok()) return NoRow(number);
    std::optional<OldRow> old = Recognise(layout, run, *std::move(json));
    if (!old.has_value()) return NoRow(number);
    old->begin = at;
    at = old->end = at + static_cast<int64_t>(line.size()) + 1;
    RETURN_IF_ERROR(take(*std::move(old)));
  }
  return absl::OkStatus();
}

absl::Status ReadRecords(std::istream& file, const RowLayout& layout, const std::string& run,
                         const std::function<absl::Status(OldRow)>& take) {
  bool at_end = false;
  CsvReader reader("it", SeparatorOf(layout.format),
                   [&](std::span<char> buffer) -> absl::StatusOr<size_t> {
                     file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
                     at_end = file.gcount() == 0;
                     return static_cast<size_t>(file.gcount());
                   });
  std::vector<std::string> columns;
  int64_t begin = 0;
  for (int64_t number = 0;; ++number) {
    auto record = reader.Next();
    // A quote that is open at the end is a torn row's.
    if (!record.ok() && at_end) return absl::OkStatus();
    if (!record.ok()) return absl::FailedPreconditionError(record.status().message());
    if (!record->has_value() || !reader.ended()) return absl::OkStatus();
    if (number == 0) {
      columns = **std::move(record);
    } else {
      if ((*record)->size() != columns.size()) return NoRow(number);
      Json row = Json::object();
      for (size_t i = 0; i < columns.size(); ++i) row[columns[i]] = std::move((**record)[i]);
      std::optional<OldRow> old = Recognise(layout, run, std::move(row));
      if (!old.has_value()) return NoRow(number);
      old->begin = begin;
      old->end = reader.bytes();
      RETURN_IF_ERROR(take(*std::move(old)));
    }
    begin = reader.bytes();
  }
}

}  // namespace

absl::StatusOr<std::vector<std::string>> AnswerColumns(const RowLayout& layout,
                                                       const std::vector<std::string>& own) {
  RowLayout ours = layout;
  ours.own.clear();
  std::vector<std::string> names = AllColumns(ours);
  for (const std::string& name : names) {
    if (std::find(own.begin(), own.end(), name) == own.end()) continue;
    return absl::InvalidArgumentError(
        Text("the column ", Quoted(name),
             " is the input's and the answer's; --prefix=dyad_ renames those of the answer"));
  }
  return names;
}

absl::Status CheckRowKeys(const std::vector<std::string>& ours, const std::vector<std::string>& own,
                          const Json& row) {
  const auto stands_in = [](const std::vector<std::string>& columns, const std::string& key) {
    return std::find(columns.begin(), columns.end(), key) != columns.end();
  };
  for (const auto& [key, value] : row.items()) {
    if (stands_in(ours, key)) {
      return absl::InvalidArgumentError(
          Text("the key ", Quoted(key), " is the answer's; --prefix=dyad_ renames those"));
    }
    if (own.empty() || stands_in(own, key)) continue;
    return absl::InvalidArgumentError(
        Text("the key ", Quoted(key), " is not in the first row, and so has no column"));
  }
  return absl::OkStatus();
}

std::string HeadOfRows(const RowLayout& layout) {
  if (layout.format == TableFormat::kJsonLines) return "";
  return CsvRecord(AllColumns(layout), SeparatorOf(layout.format));
}

std::vector<Json> RowsOf(const RowLayout& layout, int64_t number, const Json& own,
                         const std::string& run, const absl::StatusOr<Json>& answer) {
  const auto row_of = [&](const Json& values) {
    Json row = own;
    row[layout.Name(layout.item)] = number;
    for (const auto& [column, value] : values.items()) row[layout.Name(column)] = value;
    row[layout.Name(kRun)] = run;
    return row;
  };
  std::vector<Json> rows;
  if (!answer.ok()) {
    Json& row = rows.emplace_back(row_of(Json::object()));
    row[layout.Name(kError)] = ErrorJson(answer.status())[kError];
    return rows;
  }
  for (const Json& values : *answer) rows.push_back(row_of(values));
  return rows;
}

std::string TextOfRows(const RowLayout& layout, const std::vector<Json>& rows) {
  std::string text;
  const std::vector<std::string> columns = AllColumns(layout);
  for (const Json& row : rows) {
    if (layout.format == TableFormat::kJsonLines) {
      absl::StrAppend(&text, FormatLine(row), "\n");
      continue;
    }
    const Json written = WrittenRow(layout, row);
    std::vector<std::string> cells;
    for (const std::string& column : columns) cells.push_back(written[column].get<std::string>());
    text += CsvRecord(cells, SeparatorOf(layout.format));
  }
  return text;
}

Json WrittenRow(const RowLayout& layout, const Json& row) {
  if (layout.format == TableFormat::kJsonLines) return row;
  Json written = Json::object();
  for (const std::string& column : AllColumns(layout)) {
    const Json value = row.contains(column) ? row[column] : Json();
    written[column] = column == layout.Name(kError) ? ErrorCell(value) : CellText(value);
  }
  return written;
}

absl::Status ReadRows(std::istream& file, int64_t at, const RowLayout& layout,
                      const std::string& run, const std::function<absl::Status(OldRow)>& take) {
  if (layout.format == TableFormat::kJsonLines) return ReadLines(file, at, layout, run, take);
  return ReadRecords(file, layout, run, take);
}

}  // namespace dyad::client
