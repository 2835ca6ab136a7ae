// Where a command reads and writes: the process's own streams, or a test's.
#pragma once

#include <istream>
#include <ostream>

namespace dyad::client {

enum class Screen { kTerminal, kOther };  // kOther: a file or a pipe

// Owns nothing. Answers go to `out`; errors and progress go to `err`.
struct Console {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  // Progress bars are drawn on a terminal only.
  Screen err_screen = Screen::kOther;
};

}  // namespace dyad::client
