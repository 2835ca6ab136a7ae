// The lines of a batch: of a file, of standard input, or from memory.
#pragma once

#include <cstdint>
#include <functional>
#include <istream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace dyad::client {

// Every line counts, empty ones too: line i of the input is line i of the output. A last line
// without line feed is a line. One thread.
class LineInput {
 public:
  // `path` "-" means `standard_input`, which must outlive this.
  // Errors: NotFound naming the path.
  static absl::StatusOr<LineInput> Open(const std::string& path, std::istream& standard_input);
  static LineInput Of(std::vector<std::string> lines);

  std::optional<std::string> Next() { return next_(); }

  // Lines in all; nothing for standard input and pipes. Cost: the file is read once, in Open.
  std::optional<int64_t> total() const { return total_; }

 private:
  using Source = std::function<std::optional<std::string>()>;
  LineInput(Source next, std::optional<int64_t> total) : next_(std::move(next)), total_(total) {}

  Source next_;
  std::optional<int64_t> total_;
};

}  // namespace dyad::client
