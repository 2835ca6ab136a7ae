// dyad-convert. Everything is in server/tools/convert.h; this is the process.
#include <unistd.h>

#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "server/base/standard_streams.h"
#include "server/tools/convert.h"

int main(int argc, char** argv) {
  dyad::PrepareStandardStreams();
  std::ios::sync_with_stdio(false);
  try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    const bool on_terminal = isatty(STDERR_FILENO) != 0;
    return dyad::RunConvert(
        words, {.in = std::cin,
                .out = std::cout,
                .err = std::cerr,
                .err_screen = on_terminal ? dyad::Screen::kTerminal : dyad::Screen::kOther});
  } catch (const std::exception& error) {
    std::cerr << "dyad-convert: " << error.what() << '\n';
    return 1;
  }
}
