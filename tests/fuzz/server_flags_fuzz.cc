// dyad-server's command line, an argument a line.
#include <cstdint>
#include <string>
#include <vector>

#include "server/flags.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyad;
  std::vector<std::string> arguments = testing::Parts(testing::AsText(data, size), '\n', 16);
  arguments.insert(arguments.begin(), "dyad-server");
  const absl::StatusOr<Options> options = ParseArguments(arguments);
  if (!options.ok()) {
    testing::Require(!options.status().message().empty(), "a refusal says why");
  } else if (options->mode == Mode::kServe) {
    testing::Require(!options->models.empty(), "a server has a model");
    testing::Require(Faults(*options).empty(), "what is accepted has no faults");
  }
  return 0;
}
