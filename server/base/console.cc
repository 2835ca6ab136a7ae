// A stream remembers that a write failed; the reason is known at that moment only.
#include "server/base/console.h"

#include <unistd.h>

#include <cerrno>
#include <iostream>

namespace dyad {

Console ProcessConsole() {
  return {.in = std::cin,
          .out = std::cout,
          .err = std::cerr,
          .err_screen = isatty(STDERR_FILENO) != 0 ? Screen::kTerminal : Screen::kOther};
}

absl::Status Flush(const Console& console) {
  errno = 0;
  console.out.flush();
  if (console.out.good()) return absl::OkStatus();
  const char* const fault = "cannot write to standard output";
  return errno == 0 ? absl::DataLossError(fault) : absl::ErrnoToStatus(errno, fault);
}

}  // namespace dyad
