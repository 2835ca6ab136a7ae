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
    absl::StrAppend(&text, absl::StrFormat("  %-11s %s\n", std::string(command->help().name),
                                           std::string(command->help().summary)));
  }
  absl::StrAppend(&text, "\ndyadctl COMMAND --help lists its flags.\n");
  return text;
}

// CLI11 wants the last word first, and would take the word behind "--name=" for its value.
std::vector<std::string> ForParser(std::span<const std::string> words) {
  std::vector<std::string> parsed;
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (*word == "--") {
      parsed.insert(parsed.end(), word, words.end());
      break;
    }
    const size_t equals = word->find('=');
    const bool empty_value = word->starts_with("--") && equals + 1 == word->size();
    parsed.push_back(empty_value ? word->substr(0, equals) : *word);
    if (empty_value) parsed.emplace_back();
  }
  std::reverse(parsed.begin(), parsed.end());
  return parsed;
}

// The words that are no flags. CLI11's own positional arguments would take "[a]" for a list.
// Errors: InvalidArgument naming a flag that the command does not have.
absl::StatusOr<std::vector<std::string>> Words(const CLI::App& app) {
  std::vector<std::string> words = app.remaining();
  const auto end_of_flags = std::find(words.begin(), words.end(), "--");
  const auto flag = std::find_if(words.begin(), end_of_flags,
                                 [](const std::string& word) { return word.starts_with("--"); });
  if (flag != end_of_flags) {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown flag ", flag->substr(0, flag->find('='))));
  }
  if (end_of_flags != words.end()) words.erase(end_of_flags);
  return words;
}

int RunCommand(Command& command, std::span<const std::string> words, const Console& console) {
  const CommandHelp& help = command.help();
  const std::string name = absl::StrCat("dyadctl ", std::string(help.name));
  const auto usage_error = [&](const std::string& fault) {
    console.err << name << ": " << fault << "; " << name << " --help lists the flags\n";
    return kUsageError;
  };
  const auto failure = [&](absl::StatusCode code, absl::string_view message) {
    console.err << name << ": " << absl::StatusCodeToString(code) << ": " << message << '\n';
    return 1;
  };
  CLI::App app(absl::StrCat(std::string(help.summary), ".\n", std::string(help.text)),
               absl::StrCat(name, " ", std::string(help.usage)));
  app.set_help_flag("--help", "Print this");
  app.allow_extras();
  command.AddFlags(app);
  try {
    app.parse(ForParser(words));
  } catch (const CLI::CallForHelp&) {
    console.out << app.help();
    return 0;
  } catch (const CLI::ValidationError& error) {
    // CLI11 puts the flag's name in front of the message, which has it already.
    const std::string message = error.what();
    return failure(absl::StatusCode::kInvalidArgument, message.substr(message.find(": ") + 2));
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }
  auto texts = Words(app);
  if (!texts.ok()) return usage_error(std::string(texts.status().message()));
  command.set_words(*std::move(texts));
  const absl::StatusOr<int> status = command.Run(console);
  return status.ok() ? *status : failure(status.status().code(), status.status().message());
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
