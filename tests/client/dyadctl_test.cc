// Commands, help and exit statuses of dyadctl.
#include "client/dyadctl.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/paths.h"

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
    EXPECT_THAT(run.out, HasSubstr("--server ADDR"));
    EXPECT_THAT(run.out, HasSubstr("--tls_ca FILE"));
  }
  EXPECT_THAT(RunDyadctl({"score", "--help"}).out, HasSubstr("--concurrency N"));
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

TEST(DyadctlTest, NamesTheFlagThatItRefuses) {
  const auto unknown = RunDyadctl({"score", "--modle=x"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("unknown flag --modle;"));
  const auto without_value = RunDyadctl({"score", "--model"});
  EXPECT_EQ(without_value.status, 2);
  EXPECT_THAT(without_value.err, HasSubstr("--model"));
  const auto twice = RunDyadctl({"score", "--model=a", "--model=b"});
  EXPECT_EQ(twice.status, 2);
  EXPECT_THAT(twice.err, HasSubstr("--model"));
  EXPECT_THAT(RunDyadctl({"score", "--json=maybe"}).err, HasSubstr("--json = maybe"));
}

// Offline tokenizing shows what a command takes for a word.
class DyadctlWordsTest : public ::testing::Test {
 protected:
  static std::string Text(std::vector<std::string> words) {
    const std::string folder = "--tokenizer=" + testing::DemoModelDir().string();
    words.insert(words.begin(),
                 {"tokenize", folder, "--json", "--details", "--add_special_tokens=false"});
    return RunDyadctl(words).out;
  }
};

TEST_F(DyadctlWordsTest, TwoDashesEndTheFlags) {
  EXPECT_THAT(Text({"--", "--json"}), HasSubstr(R"("--","j","son")"));
  EXPECT_THAT(Text({"-1"}), HasSubstr("\"-\""));
  EXPECT_THAT(Text({"-x"}), HasSubstr("\"-\""));
}

TEST_F(DyadctlWordsTest, BracketsAreNoList) {
  EXPECT_THAT(Text({"[a,b]"}), HasSubstr("["));
  EXPECT_THAT(Text({"--text=[a,b]"}), HasSubstr("["));
}

TEST_F(DyadctlWordsTest, ASwitchOrARepeatedFlagDoesNotEatTheNextWord) {
  EXPECT_EQ(Text({"--details", "a"}), Text({"a"}));
  EXPECT_EQ(Text({"--text", "b", "a"}), Text({"a"}) + Text({"b"}));  // texts of flags come last
}

TEST_F(DyadctlWordsTest, AnEmptyValueIsAValue) {
  EXPECT_EQ(Text({"--text=", "a"}), Text({"a"}) + Text({""}));
  EXPECT_EQ(Text({"--text", "", "a"}), Text({"a"}) + Text({""}));
  EXPECT_EQ(Text({"--text=--x"}), Text({"--", "--x"}));
}

TEST(DyadctlTest, FailuresAreOneLineWithTheCode) {
  const auto run = RunDyadctl({"score", "--input=/nowhere", "--server=127.0.0.1:1"});
  EXPECT_EQ(run.status, 1);
  EXPECT_EQ(run.err, "dyadctl score: NOT_FOUND: cannot read /nowhere\n");
}

}  // namespace
}  // namespace dyad::client
