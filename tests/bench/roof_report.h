// How commands print the roof that their results are compared with.
#pragma once

#include "nlohmann/json.hpp"
#include "tests/bench/roof.h"

namespace dyad::bench {

nlohmann::json ToJson(const Roof& roof);  // with threads and instruction set
void PrintRoof(const Roof& roof);         // one line

}  // namespace dyad::bench
