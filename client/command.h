// A command of dyadctl: what its flags are, on top of CLI11, and what it does with them.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/batch.h"
#include "client/client.h"
#include "client/connection.h"
#include "client/console.h"
#include "client/json_line.h"

namespace dyad::client {

struct CommandHelp {
  std::string_view name;
  std::string_view usage;    // the words after the name
  std::string_view summary;  // one line
  std::string_view text;     // what goes in, what comes out
};

// One run of a command: AddFlags binds its members to flags, CLI11 fills them, then Run.
// One thread.
class Command {
 public:
  explicit Command(const CommandHelp& help) : help_(help) {}
  virtual ~Command() = default;

  // Its own flags, then those of every command: --server, --model, --timeout, --tls_*, --json.
  virtual void AddFlags(CLI::App& app);

  // Returns the exit status; an error becomes status 1 and one line on the console's `err`.
  virtual absl::StatusOr<int> Run(const Console& console) = 0;

  const CommandHelp& help() const { return help_; }
  // The arguments that are no flags.
  void set_words(std::vector<std::string> words) { words_ = std::move(words); }

 protected:
  absl::StatusOr<Client> MakeClient() const;

  std::vector<std::string> words_;
  ConnectionOptions connection_;
  std::string model_;  // empty: the server's only one
  bool json_ = false;

 private:
  const CommandHelp help_;
  double timeout_seconds_ = std::numeric_limits<double>::infinity();
};

// A command that answers one kind of line: those of --input as a batch, or those that its words
// make. Adds --input, --output and --concurrency.
class BatchCommand : public Command {
 public:
  using Command::Command;
  void AddFlags(CLI::App& app) override;
  absl::StatusOr<int> Run(const Console& console) final;

 protected:
  // Before anything is answered: checks flags, and connects.
  virtual absl::Status Start() = 0;
  virtual absl::StatusOr<Json> Answer(const Json& line) const = 0;
  // Without --input.
  virtual absl::StatusOr<int> RunWords(const Console& console) = 0;

  // --text, for texts that begin with --; and the texts of the command line, both ways.
  void AddTextFlag(CLI::App& app);
  std::vector<std::string> Texts() const;

  Json fields_ = Json::object();  // for every line that does not say otherwise

 private:
  std::optional<std::string> input_;
  BatchOptions batch_;
  std::vector<std::string> texts_;
};

// Help of a flag: what stands for its value, and one sentence with unit, range and default.
struct FlagHelp {
  std::string value;
  std::string text;
};

// A whole number from `least` to `most`.
void AddNumber(CLI::App& app, const std::string& name, int64_t& number, int64_t least, int64_t most,
               const FlagHelp& help);
// --name, --name=true or --name=false.
void AddSwitch(CLI::App& app, const std::string& name, bool& on, const std::string& help);
// Fields of a request, by the name of the flag. A value that reads as a JSON number, list or object
// is that, any other is a string; a text field is always a string; a switch field is true or false.
void AddField(CLI::App& app, Json& fields, const std::string& name, const FlagHelp& help);
void AddTextField(CLI::App& app, Json& fields, const std::string& name, const FlagHelp& help);
void AddSwitchField(CLI::App& app, Json& fields, const std::string& name, const std::string& help);

// `line` over `defaults`: the line wins.
Json WithDefaults(const Json& defaults, const Json& line);

// "1,2,3" or "[1, 2, 3]" as a list. Errors: InvalidArgument naming the flag and the piece.
absl::StatusOr<Json> IdList(const std::string& name, std::string_view text);

}  // namespace dyad::client
