// Where bytes come from is a function that gives the next ones; lines are cut from them.
#include "client/line_input.h"

#include <array>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/json_array.h"
#include "client/packed_file.h"
#include "client/run_header.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// Puts bytes into the buffer, 0 at the end.
using Source = std::function<absl::StatusOr<size_t>(std::span<char> buffer)>;

class LineCutter {
 public:
  LineCutter(std::string name, Source source)
      : name_(std::move(name)), source_(std::move(source)) {}

  std::optional<std::string> Next() {
    absl::StatusOr<std::optional<std::string>> line = Cut();
    if (line.ok()) return *std::move(line);
    fault_ = line.status();
    return std::nullopt;
  }

  const absl::Status& fault() const { return fault_; }

 private:
  absl::StatusOr<std::optional<std::string>> Cut() {
    RETURN_IF_ERROR(fault_);
    std::string line;
    while (true) {
      if (rest_.empty()) {
        ASSIGN_OR_RETURN(const size_t count, source_(buffer_));
        if (count == 0) break;
        rest_ = std::string_view(buffer_.data(), count);
      }
      const size_t end = rest_.find('\n');
      line += rest_.substr(0, end);
      rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
      RETURN_IF_ERROR(Check(line));
      if (end == std::string_view::npos) continue;
      if (IsItem(line)) return line;
      line.clear();
    }
    if (!IsItem(line)) return std::nullopt;
    return line;
  }

  static bool IsItem(const std::string& line) {
    return !absl::StripAsciiWhitespace(line).empty() && !IsHeaderLine(line);
  }

  absl::Status Check(const std::string& line) const {
    if (line.size() > kMaxLineBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat(name_, " has a line of more than ", kMaxLineBytes, " bytes"));
    }
    // JSON has no such byte in any place.
    if (line.find('\0') == std::string::npos && !line.starts_with("\x1f\x8b")) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat(name_, " is a binary file; expected lines of JSON"));
  }

  const std::string name_;
  const Source source_;
  std::array<char, 1 << 16> buffer_;
  std::string_view rest_;  // of buffer_, not cut yet
  absl::Status fault_;
};

// What is there, without waiting for a full buffer: who types lines wants their answers.
Source StreamSource(std::istream& stream) {
  return [&stream](std::span<char> buffer) -> absl::StatusOr<size_t> {
    if (stream.peek() == std::istream::traits_type::eof()) {
      if (stream.bad()) return absl::DataLossError("cannot read standard input");
      return 0;
    }
    return static_cast<size_t>(
        stream.readsome(buffer.data(), static_cast<std::streamsize>(buffer.size())));
  };
}

// The items of a file that is a JSON array, a line each; nothing for another file.
absl::StatusOr<std::optional<std::vector<std::string>>> ArrayLines(const std::string& path) {
  ASSIGN_OR_RETURN(PackedFile file, PackedFile::Open(path, Packing::kText));
  ASSIGN_OR_RETURN(const auto name, file.NextFile());
  if (!name.has_value()) return std::nullopt;
  std::string content;
  std::array<char, 1 << 16> buffer;
  while (content.size() <= kMaxLineBytes) {
    ASSIGN_OR_RETURN(const size_t count, file.Read(buffer));
    if (count == 0) break;
    content.append(buffer.data(), count);
    if (!BeginsJsonArray(content)) return std::nullopt;
  }
  ASSIGN_OR_RETURN(const std::vector<Json> items, ReadJsonArray(path, content));
  std::vector<std::string> lines;
  for (const Json& item : items) lines.push_back(FormatLine(item));
  return lines;
}

absl::StatusOr<std::shared_ptr<LineCutter>> FileLines(const std::string& path) {
  ASSIGN_OR_RETURN(PackedFile opened, PackedFile::Open(path, Packing::kText));
  const auto file = std::make_shared<PackedFile>(std::move(opened));
  ASSIGN_OR_RETURN(const auto name, file->NextFile());
  return std::make_shared<LineCutter>(path, [file, is_empty = !name.has_value()](auto buffer) {
    return is_empty ? absl::StatusOr<size_t>(0) : file->Read(buffer);
  });
}

}  // namespace

absl::StatusOr<LineInput> LineInput::Open(const std::string& path, std::istream& standard_input) {
  if (path == "-") {
    const auto lines = std::make_shared<LineCutter>("standard input", StreamSource(standard_input));
    return LineInput{[lines] { return lines->Next(); }, [lines] { return lines->fault(); }};
  }
  LineInput input;
  // A pipe can be read only once.
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) {
    ASSIGN_OR_RETURN(auto items, ArrayLines(path));
    if (items.has_value()) return Of(*std::move(items));
    ASSIGN_OR_RETURN(const auto lines, FileLines(path));
    for (input.total = 0; lines->Next().has_value();) ++*input.total;
    RETURN_IF_ERROR(lines->fault());
  }
  ASSIGN_OR_RETURN(const auto lines, FileLines(path));
  input.next = [lines] { return lines->Next(); };
  input.fault = [lines] { return lines->fault(); };
  return input;
}

LineInput LineInput::Of(std::vector<std::string> lines) {
  LineInput input;
  input.total = static_cast<int64_t>(lines.size());
  input.next = [lines = std::move(lines),
                next = size_t{0}]() mutable -> std::optional<std::string> {
    if (next == lines.size()) return std::nullopt;
    return std::move(lines[next++]);
  };
  return input;
}

}  // namespace dyad::client
