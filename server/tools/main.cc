// dyad-convert. Everything is in server/tools/convert.h; this is the process.
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "server/base/console.h"
#include "server/base/standard_streams.h"
#include "server/tools/convert.h"

int main(int argc, char** argv) {
  dyad::PrepareStandardStreams();
  std::ios::sync_with_stdio(false);
  try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    return dyad::RunConvert(words, dyad::ProcessConsole());
  } catch (const std::exception& error) {
    std::cerr << "dyad-convert: " << error.what() << '\n';
    return 1;
  }
}
