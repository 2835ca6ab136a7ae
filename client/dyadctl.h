// The command line as a function: what main does, for tests too.
#pragma once

#include <span>
#include <string>

#include "server/base/console.h"

namespace dyad::client {

// `words` are the arguments without the program's name. Returns the exit status: 0 done, 1
// something failed (or `health` found the server not ready), 2 the command line is wrong, 3 a run
// was interrupted and the same command goes on. Errors are one line on the console's `err`.
int RunDyadctl(std::span<const std::string> words, const Console& console);

}  // namespace dyad::client
