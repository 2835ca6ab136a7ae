// A program of two commands, word by word.
#include "server/base/command_line.h"

#include <new>
#include <sstream>

#include "gtest/gtest.h"

namespace dyad {
namespace {

struct ProgramRun {
  int status = -1;
  std::string out, err;
};

ProgramRun RunTool(const std::vector<std::string>& words) {
  std::istringstream in;
  std::ostringstream out, err;
  const Console console = {.in = in, .out = out, .err = err};
  const Program program = {
      .name = "tool",
      .purpose = "for tests",
      .version = "1.2",
      .commands = {{"greet", "Prints its words",
                    [&](std::span<const std::string> rest) -> absl::StatusOr<int> {
                      for (const std::string& word : rest) out << word << ' ';
                      return 3;
                    }},
                   {"fail", "Fails as it is told",
                    [](std::span<const std::string> rest) -> absl::StatusOr<int> {
                      if (rest.empty()) throw std::bad_alloc();
                      if (rest[0] == "usage") return UsageError("--x is wrong");
                      return absl::NotFoundError("no\nfile");
                    }}}};
  ProgramRun run;
  run.status = RunProgram(program, words, console);
  run.out = out.str();
  run.err = err.str();
  return run;
}

void Expect(const ProgramRun& run, int status, const std::string& out, const std::string& err) {
  EXPECT_EQ(run.status, status);
  EXPECT_EQ(run.out, out);
  EXPECT_EQ(run.err, err);
}

constexpr char kOverview[] =
    "tool COMMAND [flags]: for tests\n\n"
    "  greet  Prints its words\n"
    "  fail   Fails as it is told\n"
    "\ntool COMMAND --help lists its flags.\n";

TEST(CommandLineTest, ACommandGetsTheWordsBehindItsName) {
  Expect(RunTool({"greet", "a", "--b"}), 3, "a --b ", "");
  Expect(RunTool({"help", "greet", "a"}), 3, "--help ", "");
}

TEST(CommandLineTest, TheProgramAsAWhole) {
  Expect(RunTool({}), 2, "", kOverview);
  for (const char* word : {"--help", "-h", "help"}) Expect(RunTool({word}), 0, kOverview, "");
  Expect(RunTool({"--version"}), 0, "tool 1.2\n", "");
  Expect(RunTool({"gret"}), 2, "",
         "tool: no command 'gret'; the nearest is greet; tool --help lists them\n");
  Expect(RunTool({"zzzzzz"}), 2, "", "tool: no command 'zzzzzz'; tool --help lists them\n");
}

TEST(CommandLineTest, AnErrorIsOneLineAndAStatus) {
  Expect(RunTool({"fail", "x"}), 1, "", "tool fail: NOT_FOUND: no file\n");
  Expect(RunTool({"fail", "usage"}), 2, "",
         "tool fail: --x is wrong; tool fail --help lists the flags\n");
  Expect(RunTool({"fail"}), 1, "", "tool fail: INTERNAL: std::bad_alloc\n");
}

}  // namespace
}  // namespace dyad
