// Tables of text: RFC 4180, with a comma or a tab between columns. A byte order mark in front, CRLF
// or LF behind a record, and line breaks in quotes are all read.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dyad::client {

// Puts the next bytes into the buffer; 0 at the end.
using ByteSource = std::function<absl::StatusOr<size_t>(std::span<char> buffer)>;

// The bytes of a text, which must outlive it.
ByteSource BytesOf(std::string_view text);

// One thread.
class CsvReader {
 public:
  // `name` begins every message.
  CsvReader(std::string name, char separator, ByteSource source)
      : name_(std::move(name)), separator_(separator), source_(std::move(source)) {}

  // The cells of the next record; nothing at the end. Blank lines are no records.
  // Errors: InvalidArgument with line and column (both from 1): a quote inside a cell without
  // quotes or behind one with them, an open quote at the end, a carriage return alone, what is no
  // UTF-8, a zero byte, a record of more than kMaxLineBytes (json_line.h); those of the source.
  absl::StatusOr<std::optional<std::vector<std::string>>> Next();

  // Of the record that Next gave last: its first line, from 1; the bytes up to its end; whether it
  // ended with a line feed.
  int64_t line() const { return first_line_; }
  int64_t bytes() const { return bytes_; }
  bool ended() const { return ended_; }

 private:
  absl::StatusOr<int> Peek();  // -1 at the end
  int Take();
  absl::StatusOr<bool> EndsRecord(int c);
  absl::StatusOr<std::string> Cell();
  absl::StatusOr<std::string> QuotedCell();
  absl::Status Fault(const std::string& what) const;

  const std::string name_;
  const char separator_;
  const ByteSource source_;
  std::string buffer_ = std::string(size_t{1} << 16, '\0');
  size_t at_ = 0, filled_ = 0;
  int64_t bytes_ = 0, line_ = 1, first_line_ = 1;
  size_t column_ = 1, record_bytes_ = 0;
  bool ended_ = false;
};

// One record with its line feed; a cell has quotes where it needs them.
std::string CsvRecord(const std::vector<std::string>& cells, char separator);

}  // namespace dyad::client
