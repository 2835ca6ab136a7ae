// dyadctl: the command line client. Everything is in client/dyadctl.h; this is the process.
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "client/dyadctl.h"

int main(int argc, char** argv) {
  // `dyadctl ... | head` ends by a failed write, not by a signal.
  std::signal(SIGPIPE, SIG_IGN);
  std::ios::sync_with_stdio(false);
  const std::vector<std::string> words(argv + 1, argv + argc);
  const dyad::client::Console console = {.in = std::cin,
                                         .out = std::cout,
                                         .err = std::cerr,
                                         .err_screen = isatty(STDERR_FILENO) != 0
                                                           ? dyad::client::Screen::kTerminal
                                                           : dyad::client::Screen::kOther};
  return dyad::client::RunDyadctl(words, console);
}
