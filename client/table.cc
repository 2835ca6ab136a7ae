// Records become lines of JSON, so that one engine answers all formats.
#include "client/table.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/csv.h"
#include "client/packed_file.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// Records behind the first one, as lines.
class RecordLines {
 public:
  RecordLines(std::string name, char separator, ByteSource source)
      : name_(name), reader_(std::move(name), separator, std::move(source)) {}

  absl::StatusOr<std::vector<std::string>> ReadColumns() {
    ASSIGN_OR_RETURN(auto record, reader_.Next());
    if (!record.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat(name_, " is empty: its first line must name the columns"));
    }
    columns_ = *std::move(record);
    for (size_t i = 0; i < columns_.size(); ++i) {
      const auto first = std::find(columns_.begin(), columns_.end(), columns_[i]);
      if (first == columns_.begin() + static_cast<std::ptrdiff_t>(i)) continue;
      return absl::InvalidArgumentError(Text(name_, ": line ", reader_.line(), ", column ", i + 1,
                                             ": the name ", Quoted(columns_[i]), " stands twice"));
    }
    return columns_;
  }

  std::optional<std::string> Next() {
    absl::StatusOr<std::optional<std::string>> line = NextLine();
    if (line.ok()) return *std::move(line);
    fault_ = line.status();
    return std::nullopt;
  }

  const absl::Status& fault() const { return fault_; }

 private:
  absl::StatusOr<std::optional<std::string>> NextLine() {
    RETURN_IF_ERROR(fault_);
    ASSIGN_OR_RETURN(auto record, reader_.Next());
    if (!record.has_value()) return std::nullopt;
    if (record->size() != columns_.size()) {
      return absl::InvalidArgumentError(absl::StrCat(name_, ": line ", reader_.line(), ", column ",
                                                     std::min(record->size(), columns_.size()) + 1,
                                                     ": the record has ", record->size(),
                                                     " columns, the first line ", columns_.size()));
    }
    Json row = Json::object();
    for (size_t i = 0; i < columns_.size(); ++i) row[columns_[i]] = std::move((*record)[i]);
    return FormatLine(row);
  }

  const std::string name_;
  CsvReader reader_;
  std::vector<std::string> columns_;
  absl::Status fault_;
};

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
  return {[records] { return records->Next(); }, [records] { return records->fault(); }, {}};
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
    for (total = 0; records->Next().has_value();) ++*total;
    RETURN_IF_ERROR(records->fault());
  }
  ASSIGN_OR_RETURN(const auto records, FileRecords(path, separator));
  ASSIGN_OR_RETURN(std::vector<std::string> columns, records->ReadColumns());
  LineInput lines = LinesOf(records);
  lines.total = total;
  return TableInput{std::move(lines), std::move(columns)};
}

}  // namespace dyad::client
