// What the command lines of dyadctl and dyad-convert share: programs of several commands, of which
// each reads the words behind its name.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/console.h"

namespace dyad {

// The command line is wrong, and nothing was done: exit status 2. `fault` names the flag.
absl::Status UsageError(const std::string& fault);
bool IsUsageError(const absl::Status& status);

struct ProgramCommand {
  std::string name;
  std::string summary;  // one line
  // Any error, or the exit status.
  std::function<absl::StatusOr<int>(std::span<const std::string> words)> run;
};

struct Program {
  std::string name;     // "dyadctl"
  std::string purpose;  // "the command line of a DYAD server"
  std::string version;
  std::vector<ProgramCommand> commands;
};

// Runs the command that words[0] names, or does what the program as a whole is asked: --help,
// --version, `help COMMAND`. Returns the exit status: the command's, 1 where something failed, 2
// where the command line is wrong. An error, one thrown too, is one line on `err`; so is standard
// output that cannot be written.
int RunProgram(const Program& program, std::span<const std::string> words, const Console& console);

}  // namespace dyad
