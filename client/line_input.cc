// Where lines come from is a function that gives the next one.
#include "client/line_input.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace dyad::client {
namespace {

std::optional<std::string> NextLine(std::istream& in) {
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  return line;
}

}  // namespace

absl::StatusOr<LineInput> LineInput::Open(const std::string& path, std::istream& standard_input) {
  if (path == "-") return LineInput{[&standard_input] { return NextLine(standard_input); }};
  const auto file = std::make_shared<std::ifstream>(path, std::ios::binary);
  std::error_code ignored;
  if (!*file || std::filesystem::is_directory(path, ignored)) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  LineInput input{[file] { return NextLine(*file); }};
  // A pipe can be read only once.
  if (std::filesystem::is_regular_file(path, ignored)) {
    int64_t lines = 0;
    while (input.next().has_value()) ++lines;
    input.total = lines;
    file->clear();
    file->seekg(0);
  }
  return input;
}

LineInput LineInput::Of(std::vector<std::string> lines) {
  const auto total = static_cast<int64_t>(lines.size());
  return {[lines = std::move(lines), next = size_t{0}]() mutable -> std::optional<std::string> {
            if (next == lines.size()) return std::nullopt;
            return std::move(lines[next++]);
          },
          total};
}

}  // namespace dyad::client
