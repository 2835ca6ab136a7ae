// Where a command reads and writes: the process's own streams, or a test's.
#pragma once

#include <istream>
#include <ostream>

#include "absl/status/status.h"

namespace dyad {

enum class Screen { kTerminal, kOther };  // kOther: a file or a pipe

// Owns nothing. Answers go to `out`; errors and progress go to `err`.
struct Console {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  // Progress bars are drawn on a terminal only.
  Screen err_screen = Screen::kOther;
};

// The process's own.
Console ProcessConsole();

// Whether all that was printed on `out` has arrived. Errors: the system's, or DataLoss after one;
// then nobody reads, and nothing more should be asked for.
absl::Status Flush(const Console& console);

}  // namespace dyad
