// From words to a command, and from its end to an exit status.
#include "server/base/command_line.h"

#include <algorithm>
#include <exception>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_format.h"
#include "server/base/message_text.h"
#include "server/base/nearest.h"

namespace dyad {
namespace {

constexpr int kUsageStatus = 2;
constexpr char kUsageUrl[] = "usage";

std::string Overview(const Program& program) {
  size_t width = 0;
  for (const ProgramCommand& command : program.commands) {
    width = std::max(width, command.name.size());
  }
  std::string text = Text(program.name, " COMMAND [flags]: ", program.purpose, "\n\n");
  for (const ProgramCommand& command : program.commands) {
    text += absl::StrFormat("  %-*s  %s\n", static_cast<int>(width), command.name, command.summary);
  }
  return Text(text, "\n", program.name, " COMMAND --help lists its flags.\n");
}

// Ends a run of `name`: what was printed has arrived, or one line says what failed.
int EndRun(const std::string& name, absl::StatusOr<int> result, const Console& console) {
  if (result.ok()) {
    if (const absl::Status written = Flush(console); !written.ok()) result = written;
  }
  if (result.ok()) return *result;
  std::string message(result.status().message());
  std::replace_if(message.begin(), message.end(), absl::ascii_iscntrl, ' ');
  if (IsUsageError(result.status())) {
    console.err << name << ": " << message << "; " << name << " --help lists the flags\n";
    return kUsageStatus;
  }
  console.err << name << ": " << absl::StatusCodeToString(result.status().code()) << ": " << message
              << '\n';
  return 1;
}

int RunCommand(const std::string& name, const ProgramCommand& command,
               std::span<const std::string> words, const Console& console) {
  try {
    return EndRun(name, command.run(words), console);
  } catch (const std::exception& error) {  // the last resort: no memory, mostly
    return EndRun(name, absl::InternalError(error.what()), console);
  }
}

}  // namespace

absl::Status UsageError(const std::string& fault) {
  absl::Status status = absl::InvalidArgumentError(fault);
  status.SetPayload(kUsageUrl, absl::Cord());
  return status;
}

bool IsUsageError(const absl::Status& status) { return status.GetPayload(kUsageUrl).has_value(); }

int RunProgram(const Program& program, std::span<const std::string> words, const Console& console) {
  if (words.empty()) {
    console.err << Overview(program);
    return kUsageStatus;
  }
  std::string name = words[0];
  std::vector<std::string> rest(words.begin() + 1, words.end());
  if (name == "--version") {
    console.out << program.name << ' ' << program.version << '\n';
    return EndRun(program.name, 0, console);
  }
  if (name == "help" && !rest.empty()) {
    name = rest[0];
    rest = {"--help"};
  }
  if (name == "--help" || name == "-h" || name == "help") {
    console.out << Overview(program);
    return EndRun(program.name, 0, console);
  }
  std::vector<std::string> names;
  for (const ProgramCommand& command : program.commands) {
    names.push_back(command.name);
    if (command.name == name) {
      return RunCommand(Text(program.name, " ", name), command, rest, console);
    }
  }
  const std::string nearest = NearestName(name, names);
  console.err << program.name << ": no command " << Quoted(name)
              << (nearest.empty() ? "" : "; the nearest is ") << nearest << "; " << program.name
              << " --help lists them\n";
  return kUsageStatus;
}

}  // namespace dyad
