// The command line -> Options. The flags themselves are in flags.cc; dyad-server --help lists them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/options.h"

namespace dyad {

// Reads `arguments` (the program's name first). Unknown flags and values of the wrong type end the
// process with status 1 and a message, --help and --version with one too: the flags library does
// so. Errors: InvalidArgument with every fault of every flag, and arguments that are no flags.
absl::StatusOr<Options> ParseArguments(const std::vector<std::string>& arguments);

// "NAME=FOLDER,…" or "FOLDER,…" as --model takes it. Names and folders are not checked here.
std::vector<ModelSource> ParseModels(const std::string& text);

}  // namespace dyad
