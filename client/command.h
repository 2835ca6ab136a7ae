// A command of dyadctl: what its flags are, on top of CLI11, and what it does with them.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/answer_json.h"
#include "client/batch.h"
#include "client/client.h"
#include "client/connection.h"
#include "client/json_line.h"
#include "client/json_message.h"
#include "server/base/command_line.h"
#include "server/base/console.h"

namespace dyad::client {

// The arguments that are no flags.
enum class WordsAre { kTexts, kPaths, kNone };
// Exit status of a run whose server went away: the same command goes on.
inline constexpr int kInterrupted = 3;

struct CommandHelp {
  std::string name;
  std::string usage;    // the words after the name
  std::string summary;  // one line
  std::string text;     // what goes in, what comes out
  WordsAre words = WordsAre::kTexts;
};

// One run of a command: AddFlags binds its members to flags, CLI11 fills them, then Run.
// One thread.
class Command {
 public:
  explicit Command(const CommandHelp& help) : help_(help) {}
  virtual ~Command() = default;

  // Its own flags, then those of every command: --server, --tls_*, --json.
  virtual void AddFlags(CLI::App& app);

  // Returns the exit status (dyadctl.h); an error becomes status 1 and one line on the console's
  // `err`.
  virtual absl::StatusOr<int> Run(const Console& console) = 0;

  const CommandHelp& help() const { return help_; }
  // Flags that the command line has, but that would have no effect there. Errors: UsageError.
  absl::Status CheckRules(const CLI::App& app) const;

  const ConnectionOptions& connection() const { return connection_; }
  // The arguments that are no flags.
  void set_words(std::vector<std::string> words) { words_ = std::move(words); }
  // All arguments: what a run that is interrupted tells to type again.
  void set_arguments(std::span<const std::string> arguments);
  // Run compares with it, and writes nothing (Batch::Options::sample). It must outlive the run.
  void set_sample(Sample* sample) { sample_ = sample; }

 protected:
  // --model and --timeout, for commands that have an effect of them.
  void AddModelFlag(CLI::App& app);
  void AddTimeoutFlag(CLI::App& app);

  // For AddFlags: --flag has an effect only beside --other, or cannot have one there.
  void Needs(const std::string& flag, const std::string& other);
  void Excludes(const std::string& flag, const std::string& other);

  absl::StatusOr<Client> MakeClient() const;
  // `fields` of a run's header, and those that every run has: what the server says of itself and
  // of the model, the command, the time. `named`: models that lines name, whose digests are
  // options. Errors: those of the calls; NotFound for a model that the server does not have.
  absl::StatusOr<RunDescription> DescribeRun(Json fields,
                                             const std::set<std::string>& named = {}) const;
  // Command, program and time.
  void AddOrigin(Json& header) const;
  // Aborted if a server has other weights now than when the run began.
  static absl::Status CheckDigest(const RunDescription& description, const std::string& model,
                                  const std::string& digest);
  // --retry_errors and --header.
  void AddOutputFlags(CLI::App& app, OldErrors& old_errors, Headers& headers);
  // The end of a run into `output` that failed: if the failure passes, kInterrupted and the command
  // that goes on, on `err`; else the failure.
  absl::StatusOr<int> EndRun(const absl::Status& failure, const std::string& output,
                             const Console& console) const;

  std::vector<std::string> words_;
  ConnectionOptions connection_;
  std::string model_;  // empty: the server's only one
  bool json_ = false;
  Sample* sample_ = nullptr;

 private:
  enum class Together { kAlways, kNever };
  struct Rule {
    std::string flag, other;
    Together together;
  };

  const CommandHelp help_;
  std::vector<Rule> rules_;
  std::string typed_;  // the whole command, for a shell
  double timeout_seconds_ = std::numeric_limits<double>::infinity();
};

// `line` over `defaults`: the line wins.
Json WithDefaults(const Json& defaults, const Json& line);

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
  // Keys of a line that are no answer's business; the others come back with it.
  virtual const std::vector<std::string>& LineOptions() const = 0;
  // What lines have that say nothing: {"convention", "special_tokens"}, as far as they have them.
  virtual Json Defaults() const { return Json::object(); }
  // Every option that changes an answer.
  virtual Json Options() const { return WithDefaults(Defaults(), fields_); }
  // Of the header: convention, special_tokens, unit, the other options, input.
  absl::StatusOr<Json> HeaderFields() const;
  // The lines of --input; may also say how answers stand in the output.
  virtual absl::StatusOr<LineInput> Lines(BatchOptions& batch, const Console& console);
  virtual absl::StatusOr<RunDescription> Describe() const;
  absl::Status CheckDigest(const std::string& model, const std::string& digest) const {
    return Command::CheckDigest(description_, model, digest);
  }
  // Without --input.
  virtual absl::StatusOr<int> RunWords(const Console& console) = 0;

  // --text, for texts that begin with --; and the texts of the command line, both ways.
  void AddTextFlag(CLI::App& app);
  std::vector<std::string> Texts() const;

  // --details.
  void AddDetailsFlag(CLI::App& app, const std::string& help);
  Details details() const { return details_ ? Details::kYes : Details::kNo; }

  // For every line that does not say otherwise.
  Json fields_ = Json::object();

 private:
  std::optional<std::string> input_;
  BatchOptions batch_;
  std::vector<std::string> texts_;
  bool details_ = false;
  RunDescription description_;  // of a run whose output has a header
};

enum class FieldKind {
  // What reads as a JSON number, list or object; any other value is a string.
  kJson,
  kText,    // always a string: "7" is a name too
  kIds,     // as IdList
  kSwitch,  // true or false
};

struct FieldFlag {
  std::string name;  // of the flag and of the field
  FieldKind kind;
  std::string value;  // what stands for the value in the help
  // One sentence with unit, range and default.
  std::string help;
};

// Binds `variable` to --name; `value` stands for the value in the help.
template <typename T>
CLI::Option* AddFlag(CLI::App& app, const std::string& name, const std::string& value, T& variable,
                     const std::string& help) {
  return app.add_option("--" + name, variable, help)->type_name(value)->allow_extra_args(false);
}

// Adds flags that are fields of a request.
void AddFields(CLI::App& app, Json& fields, const std::vector<FieldFlag>& flags);

// Flags that are fields of a Request. Errors: UsageError naming the flag.
template <typename Request>
absl::StatusOr<Request> RequestFromFlags(const Json& fields) {
  auto request = MessageFromJson<Request>(fields);
  if (request.ok()) return request;
  return UsageError("--" + std::string(request.status().message()));
}

// "1,2,3" or "[1, 2, 3]" as a list. Errors: InvalidArgument naming the piece that is no id.
absl::StatusOr<Json> IdList(const std::string& text);

}  // namespace dyad::client
