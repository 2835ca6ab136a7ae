// dyad-convert: what a checkpoint's layers are, and the same network with dense ones.
#pragma once

#include <span>
#include <string>

#include "server/base/console.h"

namespace dyad {

// `words` are the arguments without the program's name. Returns the exit status: 0 done, 1
// something failed, 2 the command line is wrong. Errors are one line on the console's `err`.
int RunConvert(std::span<const std::string> words, const Console& console);

}  // namespace dyad
