// Commands, help and exit statuses of dyadctl.
#include "client/dyadctl.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
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

TEST(DyadctlTest, HelpStandsBehindACommandToo) {
  const std::string help = RunDyadctl({"score", "--help"}).out;
  EXPECT_EQ(RunDyadctl({"score", "-h"}).out, help);
  EXPECT_EQ(RunDyadctl({"score", "a", "-h"}).out, help);
  EXPECT_EQ(RunDyadctl({"help", "score"}).out, help);
  EXPECT_EQ(RunDyadctl({"help", "score"}).status, 0);
  EXPECT_EQ(RunDyadctl({"help", "scores"}).status, 2);
}

TEST(DyadctlTest, SaysItsVersion) {
  const auto run = RunDyadctl({"--version"});
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.out, ::testing::MatchesRegex("dyadctl [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(DyadctlTest, AWrongCommandLineIsStatusTwo) {
  EXPECT_EQ(RunDyadctl({}).status, 2);
  const auto command = RunDyadctl({"scores"});
  EXPECT_EQ(command.status, 2);
  EXPECT_THAT(command.err, HasSubstr("no command 'scores'; the nearest is score;"));
  const auto flag = RunDyadctl({"score", "--max-new-tokens=3"});
  EXPECT_EQ(flag.status, 2);
  EXPECT_THAT(flag.err, HasSubstr("unknown flag --max-new-tokens"));
}

TEST(DyadctlTest, NamesTheFlagThatItRefuses) {
  const auto unknown = RunDyadctl({"score", "--modle=x"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("unknown flag --modle; the nearest is --model;"));
  const auto without_value = RunDyadctl({"score", "--model"});
  EXPECT_EQ(without_value.status, 2);
  EXPECT_THAT(without_value.err, HasSubstr("--model needs a value;"));
  const auto twice = RunDyadctl({"score", "--model=a", "--model=b"});
  EXPECT_EQ(twice.status, 2);
  EXPECT_THAT(twice.err, HasSubstr("--model is given more than once;"));
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

// Latin-1, a surrogate, an overlong form, a character that the end cuts off, a lone continuation.
constexpr const char* kNoUtf8[] = {"caf\xe9", "caf\xed\xa0\x80", "caf\xc0\xaf", "caf\xe2\x82",
                                   "caf\x80"};

TEST(DyadctlTest, TextThatIsNoUtf8IsRefusedBeforeAnythingIsSent) {
  testing::FakeServer server;
  const std::string folder = testing::DemoModelDir().string();
  for (const std::string bad : kNoUtf8) {
    const std::vector<std::vector<std::string>> lines = {
        {"score", bad},
        {"score", "--text", bad},
        {"score", "a", "--context=" + bad},
        {"score", "a", "--convention=" + bad},
        {"score", "a", "--special_tokens=" + bad},
        {"generate", bad},
        {"generate", "--text=" + bad},
        {"generate", "a", "--stop=b", "--stop=" + bad},
        {"generate", "a", "--logit_bias=" + bad},
        {"generate", "a", "--model=" + bad},
        {"pairs", bad, "a"},
        {"pairs", "a", bad},
        {"pairs", "a", "b", "--convention=" + bad},
        {"tokenize", "a", bad},
        {"tokenize", "--text=" + bad},
        {"detokenize", bad},
        {"models", "--model=" + bad},
        {"health", "--service=" + bad},
    };
    for (std::vector<std::string> words : lines) {
      words.push_back("--server=" + server.address());
      const auto run = RunDyadctl(words);
      EXPECT_EQ(run.status, 2) << words[0] << " " << words[1];
      EXPECT_THAT(run.err, HasSubstr("which is no UTF-8 at byte 3;"))
          << words[0] << " " << words[1];
      EXPECT_EQ(run.out, "");
    }
    EXPECT_EQ(RunDyadctl({"tokenize", "--tokenizer=" + folder, bad}).status, 2);
    EXPECT_EQ(RunDyadctl({"score", "a", "--server=" + bad}).status, 2);
  }
  EXPECT_EQ(server.traffic.calls(), 0);
  EXPECT_THAT(RunDyadctl({"score", "a", "b\xe9"}).err, HasSubstr("argument 2 is 'b\\xe9'"));
  EXPECT_THAT(RunDyadctl({"generate", "a", "--stop=\xe9"}).err, HasSubstr("--stop is '\\xe9'"));
}

TEST(DyadctlTest, NamesOfFilesMayBeAnyBytes) {
  testing::FakeServer server;
  const testing::TemporaryFolder folder;
  const std::string at = "--server=" + server.address();
  const auto batch =
      RunDyadctl({"score", at, "--input=" + folder.Write("caf\xe9.in", "{\"text\":\"a\"}\n"),
                  "--output=" + folder.Path("caf\xe9.out")});
  EXPECT_EQ(batch.status, 0) << batch.err;
  EXPECT_THAT(folder.Read("caf\xe9.out"), HasSubstr("\"ids\""));
  folder.Write("caf\xe9/x.jsonl", "{\"sentence_good\":\"a\",\"sentence_bad\":\"b\"}\n");
  EXPECT_EQ(RunDyadctl({"blimp", at, folder.Path("caf\xe9")}).status, 0);
}

TEST(DyadctlTest, ATruthBehindASwitchIsRefused) {
  for (const char* truth : {"true", "false"}) {
    const auto run = RunDyadctl({"tokenize", "--add_special_tokens", truth, "a"});
    EXPECT_EQ(run.status, 2);
    EXPECT_THAT(run.err, HasSubstr(std::string("--add_special_tokens=") + truth + ";"));
  }
  EXPECT_EQ(RunDyadctl({"tokenize", "--tokenizer=" + testing::DemoModelDir().string(), "--text",
                        "false", "--", "--json", "false"})
                .status,
            0);
}

TEST(DyadctlTest, ASwitchTakesATruth) {
  // Of every way in which a switch is made, in any command.
  const std::pair<const char*, const char*> switches[] = {{"tokenize", "--add_special_tokens"},
                                                          {"detokenize", "--skip_special_tokens"},
                                                          {"generate", "--echo"},
                                                          {"score", "--details"},
                                                          {"pairs", "--retry_errors"},
                                                          {"models", "--json"}};
  for (const auto& [command, name] : switches) {
    for (const std::string value : {"maybe", "", "2", "-1", "99999999999999999999"}) {
      const auto run = RunDyadctl({command, name + ("=" + value), "--server=http://x"});
      EXPECT_EQ(run.status, 2) << run.err;
      EXPECT_THAT(run.err,
                  HasSubstr(absl::StrCat(name, " is '", value, "'; it must be true or false")));
    }
    for (const char* value : {"=true", "=false", ""}) {
      const auto run = RunDyadctl({command, name + std::string(value), "--server=http://x"});
      EXPECT_THAT(run.err, HasSubstr("--server is http://x"));
    }
  }
}

TEST(DyadctlTest, OutputThatDoesNotArriveIsStatusOne) {
  testing::FakeServer server;
  const std::string at = "--server=" + server.address();
  const std::vector<std::vector<std::string>> lines = {
      {"--help"},
      {"--version"},
      {"help", "score"},
      {"score", "--help"},
      {"score", at, "a"},
      {"score", at, "a", "b", "--json"},
      {"generate", at, "a"},
      {"generate", at, "a", "--json"},
      {"generate", at, "a", "--n=2"},
      {"pairs", at, "a", "b"},
      {"pairs", at, "a", "b", "--json"},
      {"tokenize", at, "a"},
      {"detokenize", at, "65"},
      {"models", at},
      {"models", at, "--json"},
      {"health", at},
      {"health", at, "--json"},
  };
  for (const std::vector<std::string>& words : lines) {
    std::istringstream in;
    std::ofstream full("/dev/full");
    std::ostringstream err;
    EXPECT_EQ(client::RunDyadctl(words, {.in = in, .out = full, .err = err}), 1) << words[0];
    EXPECT_THAT(err.str(), HasSubstr("cannot write to standard output")) << words[0];
  }
}

TEST(DyadctlTest, NothingMoreIsAskedForWhenNobodyReads) {
  testing::FakeServer server;
  std::istringstream in;
  std::ofstream full("/dev/full");
  std::ostringstream err;
  const std::vector<std::string> words = {"score", "--server=" + server.address(), "a", "b", "c"};
  EXPECT_EQ(client::RunDyadctl(words, {.in = in, .out = full, .err = err}), 1);
  EXPECT_EQ(server.traffic.calls(), 1);
}

TEST(DyadctlTest, ABatchThatNobodyReadsStops) {
  testing::FakeServer server;
  std::string lines;
  for (int i = 0; i < 2000; ++i) lines += "{\"text\":\"a\"}\n";
  std::istringstream in(lines);
  std::ofstream full("/dev/full");
  std::ostringstream err;
  const std::vector<std::string> words = {"score", "--server=" + server.address(), "--input=-"};
  EXPECT_EQ(client::RunDyadctl(words, {.in = in, .out = full, .err = err}), 1);
  EXPECT_THAT(err.str(), HasSubstr("cannot write to standard output"));
  // The thread with the first answer may be the last to run: the others are then at most 16 lines
  // for each of the 16 requests ahead.
  EXPECT_LE(server.traffic.calls(), 17 * 16);
}

TEST(DyadctlTest, FailuresAreOneLineWithTheCode) {
  const auto run = RunDyadctl({"score", "--input=/nowhere", "--server=127.0.0.1:1"});
  EXPECT_EQ(run.status, 1);
  EXPECT_EQ(run.err, "dyadctl score: NOT_FOUND: cannot open /nowhere: No such file or directory\n");
}

}  // namespace
}  // namespace dyad::client
