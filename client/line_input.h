// The lines of a batch: of a file, of standard input, or from memory.
#pragma once

#include <cstdint>
#include <functional>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace dyad::client {

// Every line counts, empty ones too: line i of the input is line i of the output. A last line
// without line feed is a line. One thread.
struct LineInput {
  // `path` "-" means `standard_input`, which must outlive this.
  // Errors: NotFound naming the path. Cost: a file is read once, for the total.
  static absl::StatusOr<LineInput> Open(const std::string& path, std::istream& standard_input);
  static LineInput Of(std::vector<std::string> lines);

  std::function<std::optional<std::string>()> next;
  // Lines in all; nothing for standard input and pipes.
  std::optional<int64_t> total = {};
};

}  // namespace dyad::client
