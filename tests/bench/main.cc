// dyad-bench COMMAND: measures the kernels against the machine and against LibTorch. README.md has
// every command with its flags.
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kernels/cpu/linear.h"
#include "server/base/standard_streams.h"
#include "tests/bench/commands.h"

ABSL_FLAG(int, threads, 2, "threads to compute with, 1 to 256");
ABSL_FLAG(std::string, cpu_isa, "",
          "instruction set to force: avx512_bf16, avx512_vnni, avx512, avx2, neon or scalar");
ABSL_FLAG(bool, json, false, "print one JSON object instead of a table");

namespace dyad::bench {
namespace {

struct Command {
  std::string_view name;
  std::string_view operand;  // empty: takes none
  absl::Status (*run)(Operands);
};

constexpr Command kCommands[] = {
    {"roof", "", &RunRoof},           {"linear", "", &RunLinear},
    {"model", "FOLDER", &RunModel},   {"server", "ADDR", &RunServer},
    {"engine", "FOLDER", &RunEngine}, {"attention", "", &RunAttention},
};

std::string CommandsText() {
  std::string text;
  for (const Command& command : kCommands) {
    absl::StrAppend(&text, text.empty() ? "" : " | ", std::string(command.name),
                    command.operand.empty() ? "" : " ", std::string(command.operand));
  }
  return text;
}

// The flags of every command, in alphabetical order. Abseil's own help ends with status 1.
std::string HelpText() {
  std::string text = absl::StrCat("dyad-bench COMMAND [flags]\n", CommandsText(), "\n");
  std::map<std::string, const absl::CommandLineFlag*> flags;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (absl::StrContains(flag->Filename(), "tests/bench/")) flags[std::string(name)] = flag;
  }
  for (const auto& [name, flag] : flags) {
    absl::StrAppend(&text, "  --", name, ": ", flag->Help(), " (default: ", flag->DefaultValue(),
                    ")\n");
  }
  return text;
}

absl::Status Run(const std::vector<char*>& arguments) {
  const int threads = absl::GetFlag(FLAGS_threads);
  if (threads < 1 || threads > 256) {
    return absl::InvalidArgumentError(
        absl::StrCat("--threads is ", threads, "; it must be in [1, 256]"));
  }
  const std::string isa = absl::GetFlag(FLAGS_cpu_isa);
  if (!isa.empty() && !kernels::ForceIsa(isa)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--cpu_isa is '", isa, "'; it is unknown or does not run here"));
  }
  const Operands given = Operands(arguments).subspan(1);
  for (const Command& command : kCommands) {
    const size_t operands = command.operand.empty() ? 0 : 1;
    if (given.size() != operands + 1 || given[0] != command.name) continue;
    return command.run(given.subspan(1));
  }
  return absl::InvalidArgumentError(absl::StrCat("give one command: ", CommandsText()));
}

}  // namespace
}  // namespace dyad::bench

int main(int argc, char** argv) {
  dyad::PrepareStandardStreams();
  dyad::CheckStandardOutputAtExit("dyad-bench");
  for (const std::string_view word : std::vector<std::string_view>(argv + 1, argv + argc)) {
    if (word != "--help" && word != "-h") continue;
    std::cout << dyad::bench::HelpText();
    return 0;
  }
  const absl::Status status = dyad::bench::Run(absl::ParseCommandLine(argc, argv));
  if (status.ok()) return 0;
  std::cerr << "dyad-bench: " << status.message() << "\n";
  return 1;
}
