// Records become lines of JSON, so that one engine answers all formats.
#include "client/table.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "client/packed_file.h"
#include "client/record_lines.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

absl::StatusOr<std::shared_ptr<RecordLines>> FileRecords(const std::string& path, char separator) {
  ASSIGN_OR_RETURN(PackedFile opened, PackedFile::Open(path, Packing::kText));
  const auto file = std::make_shared<PackedFile>(std::move(opened));
  ASSIGN_OR_RETURN(const auto name, file->NextFile());
  return std::make_shared<RecordLines>(
      path, separator, [file, is_empty = !name.has_value()](std::span<char> buffer) {
        return is_empty ? absl::StatusOr<size_t>(0) : file->Read(buffer);
      });
}

LineInput LinesOf(const std::shared_ptr<RecordLines>& records) {
  const auto fault = std::make_shared<absl::Status>();
  const auto next = [records, fault]() -> std::optional<std::string> {
    if (!fault->ok()) return std::nullopt;
    absl::StatusOr<std::optional<Json>> record = records->Next();
    *fault = record.status();
    if (!record.ok() || !record->has_value()) return std::nullopt;
    return FormatLine(**record);
  };
  return {next, [fault] { return *fault; }, {}};
}

// The first line's keys; the line is given again.
std::vector<std::string> PeekKeys(LineInput& lines) {
  std::vector<std::string> keys;
  std::optional<std::string> first = lines.next();
  if (!first.has_value()) return keys;
  if (const absl::StatusOr<Json> json = ParseLine(*first); json.ok()) {
    for (const auto& [key, value] : json->items()) keys.push_back(key);
  }
  lines.next = [next = std::move(lines.next), first = std::move(first)]() mutable {
    return first.has_value() ? std::exchange(first, std::nullopt) : next();
  };
  return keys;
}

}  // namespace

std::optional<TableFormat> FormatOfName(const std::string& path) {
  std::filesystem::path name = path;
  if (name.extension() == ".gz") name = name.stem();
  const std::string suffix = name.extension().string();
  return suffix.empty() ? std::nullopt : FormatOfWord(suffix.substr(1));
}

std::optional<TableFormat> InputFormatOfName(const std::string& path) {
  std::filesystem::path name = path;
  if (name.extension() == ".gz") name = name.stem();
  return name.extension() == ".json" ? TableFormat::kJsonLines : FormatOfName(path);
}

std::string SuffixOf(TableFormat format) {
  if (format == TableFormat::kJsonLines) return ".jsonl";
  return format == TableFormat::kCsv ? ".csv" : ".tsv";
}

std::optional<TableFormat> FormatOfWord(const std::string& word) {
  if (word == "jsonl") return TableFormat::kJsonLines;
  if (word == "csv") return TableFormat::kCsv;
  if (word == "tsv") return TableFormat::kTsv;
  return std::nullopt;
}

std::string CellText(const Json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : FormatLine(value);
}

absl::Status CheckHasColumns(const TableInput& table, const std::string& path,
                             const std::vector<std::string>& names, const std::string& key) {
  const std::vector<std::string>& columns = table.columns;
  for (const std::string& name : names) {
    const bool there = std::find(columns.begin(), columns.end(), name) != columns.end();
    if (there || columns.empty()) continue;
    const std::string hint =
        key.empty() ? "" : Text("; --columns=", key, "=NAME says where the texts are");
    return absl::InvalidArgumentError(Text(path, " has no column ", Quoted(name), hint));
  }
  return absl::OkStatus();
}

absl::StatusOr<TableInput> OpenTable(const std::string& path, TableFormat format,
                                     std::istream& standard_input) {
  if (format == TableFormat::kJsonLines) {
    ASSIGN_OR_RETURN(LineInput lines, LineInput::Open(path, standard_input));
    std::vector<std::string> columns = PeekKeys(lines);
    return TableInput{std::move(lines), std::move(columns)};
  }
  const char separator = SeparatorOf(format);
  if (path == "-") {
    const auto records = std::make_shared<RecordLines>(
        "standard input", separator,
        [&standard_input](std::span<char> buffer) -> absl::StatusOr<size_t> {
          standard_input.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
          if (standard_input.bad()) return absl::DataLossError("cannot read standard input");
          return static_cast<size_t>(standard_input.gcount());
        });
    ASSIGN_OR_RETURN(std::vector<std::string> columns, records->ReadColumns());
    return TableInput{LinesOf(records), std::move(columns)};
  }
  std::optional<int64_t> total;
  // A pipe can be read only once. Of a file all faults are told before anything is answered.
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) {
    ASSIGN_OR_RETURN(const auto records, FileRecords(path, separator));
    RETURN_IF_ERROR(records->ReadColumns().status());
    LineInput counted = LinesOf(records);
    for (total = 0; counted.next().has_value();) ++*total;
    RETURN_IF_ERROR(counted.fault());
  }
  ASSIGN_OR_RETURN(const auto records, FileRecords(path, separator));
  ASSIGN_OR_RETURN(std::vector<std::string> columns, records->ReadColumns());
  LineInput lines = LinesOf(records);
  lines.total = total;
  return TableInput{std::move(lines), std::move(columns)};
}

}  // namespace dyad::client
