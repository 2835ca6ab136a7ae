// The name says where the header is.
#include "client/run_file.h"

#include <cerrno>
#include <fstream>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/reading.h"
#include "client/run_header.h"
#include "client/table.h"
#include "server/base/file.h"
#include "server/base/new_file.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// Of a table whose name does not say it: reading makes what it read, surprisal what it was told.
TableFormat FormatOfHeader(const Json& header, bool is_reading) {
  const Json options = header.value("options", Json::object());
  const TableFormat given =
      FormatOfWord(CellText(options.value("format", Json()))).value_or(TableFormat::kCsv);
  if (!is_reading) return given;
  const Json input = header.value("input", Json::object());
  return InputFormatOfName(input.value("name", "")).value_or(given);
}

}  // namespace

absl::StatusOr<RunFile> ReadRunFile(const std::string& path) {
  RunFile run;
  const std::string beside = path + kHeaderSuffix;
  const std::optional<TableFormat> format = FormatOfName(path);
  ASSIGN_OR_RETURN(bool is_beside, HasEntry(beside));
  is_beside = format.has_value() ? *format != TableFormat::kJsonLines : is_beside;
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  std::string line;
  if (is_beside) {
    ASSIGN_OR_RETURN(line, ReadFile(beside, kMaxHeaderBytes));
  } else {
    std::getline(file, line);
    run.begin = static_cast<int64_t>(line.size()) + 1;
  }
  absl::StatusOr<Json> header = ReadHeader(line);
  if (!header.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": ", header.status().message()));
  }
  run.header = *std::move(header);
  const Json options = run.header.value("options", Json::object());
  const bool is_reading =
      run.header.value("task", Json::object()).value("name", "") == kReadingTask;
  if (is_reading) run.layout.item = kReadingNumber;
  run.layout.format =
      format.value_or(is_beside ? FormatOfHeader(run.header, is_reading) : TableFormat::kJsonLines);
  if (options.contains("prefix")) run.layout.prefix = CellText(options["prefix"]);
  return run;
}

}  // namespace dyad::client
