// One byte after the other; no state but where it is.
#include "client/csv.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/json_line.h"
#include "server/base/status_macros.h"
#include "server/text/utf8.h"

namespace dyad::client {

absl::StatusOr<int> CsvReader::Peek() {
  if (at_ == filled_) {
    at_ = 0;
    ASSIGN_OR_RETURN(filled_, source_(buffer_));
    if (filled_ == 0) return -1;
  }
  return static_cast<unsigned char>(buffer_[at_]);
}

int CsvReader::Take() {
  const int c = static_cast<unsigned char>(buffer_[at_++]);
  ++bytes_;
  ++record_bytes_;
  if (c == '\n') ++line_;
  return c;
}

absl::Status CsvReader::Fault(const std::string& what) const {
  return absl::InvalidArgumentError(
      absl::StrCat(name_, ": line ", line_, ", column ", column_, ": ", what));
}

absl::StatusOr<std::optional<std::vector<std::string>>> CsvReader::Next() {
  while (true) {
    if (bytes_ == 0) {
      for (const int mark : {0xef, 0xbb, 0xbf}) {
        ASSIGN_OR_RETURN(const int c, Peek());
        if (c != mark) break;
        Take();
      }
    }
    column_ = 1;
    record_bytes_ = 0;
    first_line_ = line_;
    ASSIGN_OR_RETURN(int c, Peek());
    if (c < 0) return std::nullopt;
    ended_ = false;
    std::vector<std::string> cells;
    bool blank = c != '"';
    while (true) {
      ASSIGN_OR_RETURN(std::string cell, Cell());
      if (FirstInvalidByte(cell).has_value()) return Fault("no UTF-8");
      cells.push_back(std::move(cell));
      ASSIGN_OR_RETURN(c, Peek());
      ASSIGN_OR_RETURN(const bool end, EndsRecord(c));
      if (end) break;
      Take();  // the separator
      ++column_;
    }
    blank = blank && cells.size() == 1 && cells[0].empty();
    if (!blank) return cells;
  }
}

absl::StatusOr<bool> CsvReader::EndsRecord(int c) {
  if (c == separator_) return false;
  if (c < 0) return true;
  if (c == '\r') {
    Take();
    ASSIGN_OR_RETURN(c, Peek());
    if (c < 0) return true;
    if (c != '\n') return Fault("a carriage return without line feed");
  }
  if (c != '\n') return Fault("text behind the quote that ends the cell");
  Take();
  ended_ = true;
  return true;
}

absl::StatusOr<std::string> CsvReader::Cell() {
  ASSIGN_OR_RETURN(int c, Peek());
  if (c == '"') return QuotedCell();
  std::string cell;
  while (c >= 0 && c != separator_ && c != '\n' && c != '\r') {
    if (c == '"') return Fault("a quote in a cell that does not begin with one");
    if (c == 0) return Fault("a zero byte: a binary file, or UTF-16");
    cell.push_back(static_cast<char>(Take()));
    if (record_bytes_ > kMaxLineBytes) {
      return Fault(absl::StrCat("a record of more than ", kMaxLineBytes, " bytes"));
    }
    ASSIGN_OR_RETURN(c, Peek());
  }
  return cell;
}

absl::StatusOr<std::string> CsvReader::QuotedCell() {
  const int64_t from = line_;
  Take();
  std::string cell;
  while (true) {
    ASSIGN_OR_RETURN(int c, Peek());
    if (c < 0) {
      return Fault(absl::StrCat("the quote that opens on line ", from, " does not close"));
    }
    Take();
    if (c == '"') {
      ASSIGN_OR_RETURN(c, Peek());
      if (c != '"') return cell;
      Take();
    }
    if (c == 0) return Fault("a zero byte: a binary file, or UTF-16");
    cell.push_back(static_cast<char>(c));
    if (record_bytes_ > kMaxLineBytes) {
      return Fault(absl::StrCat("a record of more than ", kMaxLineBytes,
                                " bytes: is the quote of line ", from, " closed?"));
    }
  }
}

ByteSource BytesOf(std::string_view text) {
  return [text](std::span<char> buffer) mutable {
    const size_t count = std::min(buffer.size(), text.size());
    std::copy_n(text.begin(), count, buffer.begin());
    text.remove_prefix(count);
    return absl::StatusOr<size_t>(count);
  };
}

std::string CsvRecord(const std::vector<std::string>& cells, char separator) {
  std::string record;
  for (const std::string& cell : cells) {
    if (&cell != cells.data()) record.push_back(separator);
    const bool needs_quotes = cell.find_first_of("\"\r\n") != std::string::npos ||
                              cell.find(separator) != std::string::npos ||
                              // Else it were a blank line, which is no record.
                              (cell.empty() && cells.size() == 1);
    absl::StrAppend(&record,
                    needs_quotes
                        ? absl::StrCat("\"", absl::StrReplaceAll(cell, {{"\"", "\"\""}}), "\"")
                        : cell);
  }
  return record + "\n";
}

}  // namespace dyad::client
