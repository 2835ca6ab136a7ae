// Lines from a file or standard input.
#include "client/line_input.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace dyad::client {

absl::StatusOr<LineInput> LineInput::Open(const std::string& path, std::istream& standard_input) {
  LineInput input;
  if (path == "-") {
    input.standard_input_ = &standard_input;
    return input;
  }
  input.file_.open(path, std::ios::binary);
  std::error_code ignored;
  if (!input.file_ || std::filesystem::is_directory(path, ignored)) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  if (std::filesystem::is_regular_file(path, ignored)) {  // a pipe can be read only once
    int64_t lines = 0;
    for (std::string line; std::getline(input.file_, line);) ++lines;
    input.total_ = lines;
    input.file_.clear();
    input.file_.seekg(0);
  }
  return input;
}

std::optional<std::string> LineInput::Next() {
  std::string line;
  std::istream& in = standard_input_ != nullptr ? *standard_input_ : file_;
  if (!std::getline(in, line)) return std::nullopt;
  return line;
}

}  // namespace dyad::client
