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

// Blank lines and headers of runs are no lines: answer i is of the i-th line that is neither, and
// an output can be the next input. A last line without line feed is a line. One thread.
struct LineInput {
  // `path` "-" means `standard_input`, which must outlive this; a file may be compressed with gzip,
  // and may be a JSON array (client/json_array.h), whose items are the lines.
  // Errors: the system's, naming the path; InvalidArgument for a folder, for what cannot be
  // unpacked, and for a file that is no text. Cost: a file is read once, for the total.
  static absl::StatusOr<LineInput> Open(const std::string& path, std::istream& standard_input);
  static LineInput Of(std::vector<std::string> lines);

  std::function<std::optional<std::string>()> next;  // nothing at the end
  // Whether that was the end, or what cannot be read behind the last line. Errors: as Open.
  std::function<absl::Status()> fault = [] { return absl::OkStatus(); };
  // Lines in all; nothing for standard input and pipes.
  std::optional<int64_t> total = {};
};

}  // namespace dyad::client
