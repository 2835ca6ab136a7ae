// Runs dyad-convert inside the test.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "server/tools/convert.h"

namespace dyad::testing {

struct ConvertRun {
  int status;
  std::string out, err;
};

inline ConvertRun RunConvert(const std::vector<std::string>& words) {
  std::istringstream in;
  std::ostringstream out, err;
  const int status = dyad::RunConvert(words, {.in = in, .out = out, .err = err});
  return {status, out.str(), err.str()};
}

}  // namespace dyad::testing
