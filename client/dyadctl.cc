// Finds the command, checks its flags, runs it.
#include "client/dyadctl.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands.h"

namespace dyad::client {
namespace {

constexpr int kUsageError = 2;

std::vector<Command> Commands() {
  return {GenerateCommand(), ScoreCommand(),      PairsCommand(),  BlimpCommand(),
          TokenizeCommand(), DetokenizeCommand(), ModelsCommand(), HealthCommand()};
}

std::string Overview(const std::vector<Command>& commands) {
  std::string text = "dyadctl COMMAND [flags]: the command line of a DYAD server\n\n";
  for (const Command& command : commands) {
    absl::StrAppend(&text, absl::StrFormat("  %-11s %s\n", command.name, command.summary));
  }
  absl::StrAppend(&text, "\ndyadctl COMMAND --help lists its flags.\n");
  return text;
}

std::string Help(const Command& command) {
  return absl::StrCat("dyadctl ", command.name, " ", command.usage, "\n\n", command.summary, ".\n",
                      command.text, "\nFlags:\n", FlagsHelp(AllFlags(command)));
}

}  // namespace

int RunDyadctl(std::span<const std::string> words, const Console& console) {
  const std::vector<Command> commands = Commands();
  if (words.empty()) {
    console.err << Overview(commands);
    return kUsageError;
  }
  if (words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    console.out << Overview(commands);
    return 0;
  }
  const auto command = std::find_if(commands.begin(), commands.end(),
                                    [&](const Command& c) { return c.name == words[0]; });
  if (command == commands.end()) {
    console.err << "dyadctl: no command " << words[0] << "; dyadctl --help lists them\n";
    return kUsageError;
  }
  const auto arguments = Arguments::Parse(words.subspan(1), AllFlags(*command));
  if (!arguments.ok()) {
    console.err << "dyadctl " << command->name << ": " << arguments.status().message()
                << "; dyadctl " << command->name << " --help lists the flags\n";
    return kUsageError;
  }
  if (arguments->On("help")) {
    console.out << Help(*command);
    return 0;
  }
  const absl::StatusOr<int> status = command->run(*arguments, console);
  if (status.ok()) return *status;
  console.err << "dyadctl " << command->name << ": "
              << absl::StatusCodeToString(status.status().code()) << ": "
              << status.status().message() << '\n';
  return 1;
}

}  // namespace dyad::client
