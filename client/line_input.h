// The lines of a batch: from a file or from standard input.
#pragma once

#include <cstdint>
#include <fstream>
#include <istream>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace dyad::client {

// Every line counts, empty ones too: line i of the input is line i of the output. A last line
// without line feed is a line. One thread.
class LineInput {
 public:
  // `path` "-" means `standard_input`, which must outlive this.
  // Errors: NotFound naming the path.
  static absl::StatusOr<LineInput> Open(const std::string& path, std::istream& standard_input);

  std::optional<std::string> Next();

  // Lines in all; nothing for standard input. Cost: the file is read once, in Open.
  std::optional<int64_t> total() const { return total_; }

 private:
  LineInput() = default;

  std::ifstream file_;
  std::istream* standard_input_ = nullptr;  // null: file_
  std::optional<int64_t> total_;
};

}  // namespace dyad::client
