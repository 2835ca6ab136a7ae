// Commands, help and exit statuses of dyadctl.
#include "client/dyadctl.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::RunDyadctl;

TEST(DyadctlTest, HelpListsEveryCommand) {
  for (const char* word : {"--help", "-h", "help"}) {
    const auto run = RunDyadctl({word});
    EXPECT_EQ(run.status, 0);
    for (const char* command :
         {"generate", "score", "pairs", "blimp", "tokenize", "detokenize", "models", "health"}) {
      EXPECT_THAT(run.out, HasSubstr(std::string("  ") + command + " "));
    }
  }
}

TEST(DyadctlTest, EveryCommandExplainsItself) {
  for (const char* command :
       {"generate", "score", "pairs", "blimp", "tokenize", "detokenize", "models", "health"}) {
    const auto run = RunDyadctl({command, "--help"});
    EXPECT_EQ(run.status, 0);
    EXPECT_THAT(run.out, HasSubstr(std::string("dyadctl ") + command));
    EXPECT_THAT(run.out, HasSubstr("--server=ADDR"));
    EXPECT_THAT(run.out, HasSubstr("--tls_ca=FILE"));
  }
  EXPECT_THAT(RunDyadctl({"score", "--help"}).out, HasSubstr("--concurrency=N"));
  EXPECT_THAT(RunDyadctl({"blimp", "--help"}).out, HasSubstr("12 phenomena"));
}

TEST(DyadctlTest, AWrongCommandLineIsStatusTwo) {
  EXPECT_EQ(RunDyadctl({}).status, 2);
  const auto command = RunDyadctl({"scores"});
  EXPECT_EQ(command.status, 2);
  EXPECT_THAT(command.err, HasSubstr("no command scores"));
  const auto flag = RunDyadctl({"score", "--max-new-tokens=3"});
  EXPECT_EQ(flag.status, 2);
  EXPECT_THAT(flag.err, HasSubstr("unknown flag --max-new-tokens"));
}

TEST(DyadctlTest, FailuresAreOneLineWithTheCode) {
  const auto run = RunDyadctl({"score", "--input=/nowhere", "--server=127.0.0.1:1"});
  EXPECT_EQ(run.status, 1);
  EXPECT_EQ(run.err, "dyadctl score: NOT_FOUND: cannot read /nowhere\n");
}

}  // namespace
}  // namespace dyad::client
