// Finds the command, has CLI11 read its flags, runs it.
#include "client/dyadctl.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/command.h"
#include "client/commands.h"

namespace dyad::client {
namespace {

constexpr int kUsageError = 2;

std::vector<std::unique_ptr<Command>> Commands() {
  std::vector<std::unique_ptr<Command>> commands;
  for (const auto make : {&GenerateCommand, &ScoreCommand, &PairsCommand, &BlimpCommand,
                          &TokenizeCommand, &DetokenizeCommand, &ModelsCommand, &HealthCommand}) {
    commands.push_back(make());
  }
  return commands;
}

std::string Overview(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string text = "dyadctl COMMAND [flags]: the command line of a DYAD server\n\n";
  for (const auto& command : commands) {
    absl::StrAppend(&text,
                    absl::StrFormat("  %-11s %s\n", command->help().name, command->help().summary));
  }
  absl::StrAppend(&text, "\ndyadctl COMMAND --help lists its flags.\n");
  return text;
}

// CLI11 wants the last word first, and would take the word behind "--name=" for its value.
std::vector<std::string> ForParser(std::span<const std::string> words) {
  std::vector<std::string> parsed;
  const auto end_of_flags = std::find(words.begin(), words.end(), "--");
  for (auto word = words.begin(); word != words.end(); ++word) {
    const bool no_value = word < end_of_flags && word->starts_with("--") && word->ends_with("=") &&
                          word->find('=') + 1 == word->size();
    parsed.push_back(no_value ? word->substr(0, word->size() - 1) : *word);
    if (no_value) parsed.emplace_back();
  }
  std::reverse(parsed.begin(), parsed.end());
  return parsed;
}

int RunCommand(Command& command, std::span<const std::string> words, const Console& console) {
  const CommandHelp& help = command.help();
  const std::string name = "dyadctl " + help.name;
  const auto usage_error = [&](const std::string& fault) {
    console.err << name << ": " << fault << "; " << name << " --help lists the flags\n";
    return kUsageError;
  };
  const auto failure = [&](const absl::Status& status) {
    console.err << name << ": " << absl::StatusCodeToString(status.code()) << ": "
                << status.message() << '\n';
    return 1;
  };
  CLI::App app(help.summary + ".\n" + help.text, name + " " + help.usage);
  app.set_help_flag("--help", "Print this");
  app.allow_extras();
  command.AddFlags(app);
  try {
    app.parse(ForParser(words));
  } catch (const CLI::CallForHelp&) {
    console.out << app.help();
    return 0;
  } catch (const CLI::ParseError& error) {
    const auto code = static_cast<CLI::ExitCodes>(error.get_exit_code());
    const bool value_is_wrong =
        code == CLI::ExitCodes::ValidationError || code == CLI::ExitCodes::ConversionError;
    return value_is_wrong ? failure(absl::InvalidArgumentError(error.what()))
                          : usage_error(error.what());
  }
  // What CLI11 took for no flag. Its own positional arguments would read the text "[a]" as a list.
  std::vector<std::string> rest = app.remaining();
  const auto end_of_flags = std::find(rest.begin(), rest.end(), "--");
  for (auto word = rest.begin(); word != end_of_flags; ++word) {
    if (word->starts_with("--")) {
      return usage_error("unknown flag " + word->substr(0, word->find('=')));
    }
  }
  if (end_of_flags != rest.end()) rest.erase(end_of_flags);
  command.set_words(std::move(rest));
  command.set_arguments(words);
  const absl::StatusOr<int> status = command.Run(console);
  return status.ok() ? *status : failure(status.status());
}

}  // namespace

int RunDyadctl(std::span<const std::string> words, const Console& console) {
  const std::vector<std::unique_ptr<Command>> commands = Commands();
  if (words.empty()) {
    console.err << Overview(commands);
    return kUsageError;
  }
  if (words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    console.out << Overview(commands);
    return 0;
  }
  const auto command = std::find_if(commands.begin(), commands.end(),
                                    [&](const auto& c) { return c->help().name == words[0]; });
  if (command != commands.end()) return RunCommand(**command, words.subspan(1), console);
  console.err << "dyadctl: no command " << words[0] << "; dyadctl --help lists them\n";
  return kUsageError;
}

}  // namespace dyad::client
