// Finds the command, has CLI11 read its flags, runs it.
#include "client/dyadctl.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/commands.h"
#include "client/server_address.h"
#include "server/base/command_line.h"
#include "server/base/message_text.h"
#include "server/base/nearest.h"
#include "server/base/status_macros.h"
#include "server/text/utf8.h"

namespace dyad::client {
namespace {

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

// CLI11's words for what a flag lacks or has too much of.
std::string FlagFault(const CLI::ParseError& error) {
  const std::string text = error.what();
  const std::string name = text.substr(0, text.find(':'));
  if (absl::EndsWith(text, " missing")) return name + " needs a value";
  if (absl::StrContains(text, "At Most 1")) return name + " is given more than once";
  return text;
}

// "--json false" would be a switch and the text "false"; "--json=2" a number, to be above 0.
absl::Status CheckSwitches(const CLI::App& app, std::span<const std::string> words) {
  const auto end_of_flags = std::find(words.begin(), words.end(), "--");
  for (auto word = words.begin(); word != end_of_flags; ++word) {
    // -h is the only short flag, and CLI11 would read what follows its letter as more of them.
    if (word->starts_with("-h") && word->size() > 2) {
      return UsageError(
          Text("unknown flag ", Quoted(*word), "; a text that begins so goes behind --"));
    }
    const size_t equals = word->find('=');
    const std::string name = word->substr(0, equals);
    const CLI::Option* option = name.starts_with("--") ? app.get_option_no_throw(name) : nullptr;
    if (option == nullptr || option->get_items_expected_max() > 0) continue;
    if (equals != std::string::npos) {
      const std::string value = word->substr(equals + 1);
      if (value == "true" || value == "false") continue;
      return UsageError(Text(name, " is ", Quoted(value), "; it must be true or false"));
    }
    const auto next = word + 1;
    if (next == words.end() || (*next != "true" && *next != "false")) continue;
    return UsageError(absl::StrCat(name, " takes its value behind \"=\": ", name, "=", *next,
                                   "; a text \"", *next, "\" goes behind --"));
  }
  return absl::OkStatus();
}

absl::Status CheckUtf8(std::string_view name, std::string_view text) {
  const std::optional<size_t> bad = FirstInvalidByte(text);
  if (!bad.has_value()) return absl::OkStatus();
  return UsageError(Text(name, " is ", Quoted(text), ", which is no UTF-8 at byte ", *bad));
}

// What is sent must be what was given. Names of files may be any bytes.
absl::Status CheckTexts(const CLI::App& app, const std::vector<std::string>& words,
                        WordsAre what_words_are) {
  for (const CLI::Option* option : app.get_options()) {
    const std::string value = option->get_type_name();
    if (value == "FILE" || value == "FOLDER") continue;
    for (const std::string& text : option->results()) {
      RETURN_IF_ERROR(CheckUtf8(option->get_name(), text));
    }
  }
  if (what_words_are == WordsAre::kPaths) return absl::OkStatus();
  for (size_t i = 0; i < words.size(); ++i) {
    RETURN_IF_ERROR(CheckUtf8(absl::StrCat("argument ", i + 1), words[i]));
  }
  return absl::OkStatus();
}

// What CLI11 took for no flag. Its own positional arguments would read the text "[a]" as a list.
absl::StatusOr<std::vector<std::string>> TakeWords(const CLI::App& app) {
  std::vector<std::string> rest = app.remaining();
  const auto end_of_flags = std::find(rest.begin(), rest.end(), "--");
  for (auto word = rest.begin(); word != end_of_flags; ++word) {
    if (!word->starts_with("--")) continue;
    std::vector<std::string> flags;
    for (const CLI::Option* option : app.get_options()) flags.push_back(option->get_name());
    const std::string flag = word->substr(0, word->find('='));
    const std::string nearest = NearestName(flag, flags);
    return UsageError(
        absl::StrCat("unknown flag ", flag, nearest.empty() ? "" : "; the nearest is ", nearest));
  }
  if (end_of_flags != rest.end()) rest.erase(end_of_flags);
  return rest;
}

absl::StatusOr<int> ParseAndRun(Command& command, std::span<const std::string> words,
                                const Console& console) {
  const CommandHelp& help = command.help();
  CLI::App app(help.summary + ".\n" + help.text, "dyadctl " + help.name + " " + help.usage);
  app.set_help_flag("-h,--help", "Print this");
  app.allow_extras();
  command.AddFlags(app);
  RETURN_IF_ERROR(CheckSwitches(app, words));
  try {
    app.parse(ForParser(words));
  } catch (const CLI::CallForHelp&) {
    console.out << app.help();
    return 0;
  } catch (const CLI::ParseError& error) {
    return UsageError(FlagFault(error));
  }
  ASSIGN_OR_RETURN(std::vector<std::string> rest, TakeWords(app));
  RETURN_IF_ERROR(command.CheckRules(app));
  RETURN_IF_ERROR(CheckTexts(app, rest, help.words));
  if (help.words == WordsAre::kNone && !rest.empty()) {
    return UsageError(Text("takes flags only, not ", Quoted(rest.front())));
  }
  if (const absl::Status address = CheckAddress(command.connection().server); !address.ok()) {
    return UsageError(std::string(address.message()));
  }
  command.set_words(std::move(rest));
  command.set_arguments(words);
  const absl::StatusOr<int> status = command.Run(console);
  if (status.ok()) return status;
  return ExplainUnreachable(status.status(), command.connection());
}

std::vector<std::unique_ptr<Command>> Commands();

// The first word that is neither a flag nor a flag's value.
std::vector<std::string>::iterator FirstText(std::vector<std::string>& words) {
  auto word = words.begin();
  while (word != words.end() && word->starts_with("-") && *word != "--") {
    const bool alone = word->find('=') != std::string::npos || *word == "--json" ||
                       *word == "--retry_errors" || *word == "--help" || *word == "-h";
    word += alone || word + 1 == words.end() ? 1 : 2;
  }
  return word;
}

// Some tasks of `evaluate` have flags of their own.
absl::StatusOr<int> RunCommand(Command& command, std::span<const std::string> words,
                               const Console& console, Sample* sample = nullptr) {
  if (command.help().name == "evaluate") {
    std::vector<std::string> rest(words.begin(), words.end());
    const auto task = FirstText(rest);
    const auto own = task == rest.end() ? nullptr : EvaluateTaskCommand(*task);
    if (own != nullptr) {
      rest.erase(task);
      return RunCommand(*own, rest, console, sample);
    }
  }
  command.set_sample(sample);
  return ParseAndRun(command, words, console);
}

absl::StatusOr<int> RunOverSample(std::span<const std::string> words, Sample& sample,
                                  const Console& console) {
  for (const std::unique_ptr<Command>& command : Commands()) {
    if (command->help().name != words.front()) continue;
    return RunCommand(*command, words.subspan(1), console, &sample);
  }
  return absl::FailedPreconditionError(
      Text("the run is of the command ", Quoted(words.front()), ", which this dyadctl lacks"));
}

std::vector<std::unique_ptr<Command>> Commands() {
  std::vector<std::unique_ptr<Command>> commands;
  for (const auto make : {&GenerateCommand, &ScoreCommand, &SurprisalCommand, &PairsCommand,
                          &BlimpCommand, &EvaluateCommand, &CompareCommand, &ReportCommand,
                          &TokenizeCommand, &DetokenizeCommand, &ModelsCommand, &HealthCommand}) {
    commands.push_back(make());
  }
  commands.push_back(VerifyCommand(&RunOverSample));
  return commands;
}

}  // namespace

int RunDyadctl(std::span<const std::string> words, const Console& console) {
  const std::vector<std::unique_ptr<Command>> commands = Commands();
  Program program = {.name = "dyadctl",
                     .purpose = "the command line of a DYAD server",
                     .version = DYAD_VERSION,
                     .commands = {}};
  for (const std::unique_ptr<Command>& command : commands) {
    program.commands.push_back(
        {command->help().name, command->help().summary,
         [&](std::span<const std::string> rest) { return RunCommand(*command, rest, console); }});
  }
  return RunProgram(program, words, console);
}

}  // namespace dyad::client
