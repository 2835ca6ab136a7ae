// dyadctl's command line, a word a line, up to where the command would run: a server without a name
// is what is refused last.
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "client/dyadctl.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyad;
  std::vector<std::string> words = testing::Parts(testing::AsText(data, size), '\n', 16);
  if (words.front() != "help") words.insert(words.begin() + 1, "--server=");
  std::istringstream in;
  std::ostringstream out, err;
  const int status = client::RunDyadctl(words, {.in = in, .out = out, .err = err});
  testing::Require(status == 0 || status == 2, "nothing runs, but: " + err.str());
  testing::Require(status == 2 ? out.str().empty() && !err.str().empty()
                               : !out.str().empty() && err.str().empty(),
                   "help is printed, or one line says what is wrong");
  return 0;
}
