// The command line -> Options. The flags themselves are in flags.cc; dyad-server --help lists them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/options.h"

namespace dyad {

// Reads `arguments` (the program's name first): --name=value or --name value, of several the last.
// With --help or --version nothing is checked, and Options::mode says which. Errors:
// InvalidArgument with every fault of every flag, unknown ones with the nearest that there is.
absl::StatusOr<Options> ParseArguments(const std::vector<std::string>& arguments);

// What --help prints: the flags by theme, with their defaults.
std::string HelpText();

// "NAME=FOLDER,…" or "FOLDER,…" as --model takes it. Names and folders are not checked here.
std::vector<ModelSource> ParseModels(const std::string& text);

}  // namespace dyad
