// dyadctl verify, whole: every command's output is asked for again.
#include <map>

#include "client/dyadctl.h"
#include "client/json_line.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;
using testing::RunDyadctl;
using testing::TemporaryFolder;

class VerifyCommandTest : public ::testing::Test {
 protected:
  testing::DyadctlRun Verify(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {"verify", folder_.Path("out"), "--server", server_.address()});
    return RunDyadctl(flags);
  }
  // The named command over 50 lines made of `line`, with its number in the place of "#".
  void Make(const std::string& command, const std::string& line,
            std::vector<std::string> flags = {}) {
    std::string lines;
    for (int i = 0; i < 50; ++i) {
      std::string one = line;
      one.replace(one.find('#'), 1, std::to_string(10 + i));
      lines += one + "\n";
    }
    std::filesystem::remove(folder_.Path("out"));
    flags.insert(flags.begin(), {command, "--server=" + server_.address(),
                                 "--input=" + folder_.Write("in.jsonl", lines),
                                 "--output=" + folder_.Path("out")});
    const auto run = RunDyadctl(flags);
    ASSERT_EQ(run.status, 0) << run.err;
  }
  // The first `from` in the file's answers becomes `to`.
  void Change(const std::string& from, const std::string& to) {
    std::string out = folder_.Read("out");
    out.replace(out.find(from, out.find('\n')), from.size(), to);
    folder_.Write("out", out);
  }

  FakeServer server_;
  TemporaryFolder folder_;
};

TEST_F(VerifyCommandTest, EveryCommandsAnswersAreTheSameAgain) {
  const std::tuple<std::string, std::string, std::vector<std::string>> runs[] = {
      {"score", R"({"text":"ab#","own":1})", {"--convention=BABYLM", "--top_n=2", "--details"}},
      {"generate",
       R"({"text":"ab#"})",
       {"--stop=x", "--stop=y", "--logit_bias={\"5\":1}", "--stop_ids=5,6", "--temperature=0.5",
        "--ignore_eos"}},
      {"pairs", R"({"sentence_good":"a","sentence_bad":"b#"})", {"--special_tokens=LITERAL"}},
      {"blimp", R"({"sentence_good":"a","sentence_bad":"b#","UID":"u"})", {"--limit=30"}},
      {"tokenize", R"({"text":"ab#"})", {"--add_special_tokens=false"}},
      {"detokenize", R"({"ids":[#]})", {"--skip_special_tokens"}}};
  for (const auto& [command, line, flags] : runs) {
    Make(command, line, flags);
    const std::string whole = folder_.Read("out");
    const auto run = Verify({"--sample=20"});
    EXPECT_EQ(run.status, 0) << command << run.out << run.err;
    EXPECT_THAT(run.out, HasSubstr(": 20 of " + std::string(command == "blimp" ? "30" : "50") +
                                   " answers asked for again, all with the same bits\n"));
    EXPECT_EQ(folder_.Read("out"), whole);
  }
}

TEST_F(VerifyCommandTest, AChangedBitIsFound) {
  Make("score", R"({"text":"ab#"})");
  const std::string value = "-29.40000009536743";
  ASSERT_THAT(folder_.Read("out"), HasSubstr("\"sum\":" + value));
  Change(value, "-29.400000095367428");
  const auto run = Verify();
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.out, HasSubstr("50 of 50 answers asked for again, and not the same:\n"));
  EXPECT_THAT(run.out, HasSubstr(": sum is -29.400000095367428 there and " + value + " now\n"));
  const auto json = ParseLine(Verify({"--json"}).out);
  ASSERT_OK(json);
  EXPECT_EQ((*json)["compared"], 50);
  EXPECT_EQ((*json)["differences"].size(), 1u);
}

TEST_F(VerifyCommandTest, AnotherModelOrInputIsRefusedByName) {
  Make("pairs", R"({"sentence_good":"a","sentence_bad":"b#"})");
  server_.model().set_digest("d2");
  auto run = Verify();
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.err, HasSubstr("another run: model.digest is \"d1\" there and \"d2\" now"));
  server_.model().set_digest("d1");
  folder_.Write("in.jsonl", "{\"sentence_good\":\"a\",\"sentence_bad\":\"b\"}\n");
  run = Verify();
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.err, HasSubstr("another run: input.sha256 is"));
}

TEST_F(VerifyCommandTest, TheInputMayHaveMoved) {
  Make("score", R"({"text":"ab#"})");
  std::filesystem::rename(folder_.Path("in.jsonl"), folder_.Path("moved"));
  EXPECT_THAT(Verify().err, HasSubstr("in.jsonl"));
  EXPECT_EQ(Verify({"--input=" + folder_.Path("moved")}).status, 0);
}

// A seed that the server drew stands in the answer.
TEST_F(VerifyCommandTest, ADrawnSeedIsAskedForAgain) {
  Make("generate", R"({"text":"ab#"})", {"--temperature=1"});
  Change("18446744073709551615", "7");
  EXPECT_EQ(Verify().status, 0);
}

TEST_F(VerifyCommandTest, ErrorsAreNotAskedForAgain) {
  folder_.Write("in.jsonl", "{\"text\":\"refused\"}\n{\"text\":\"a\"}\n");
  EXPECT_EQ(RunDyadctl({"score", "--server=" + server_.address(),
                        "--input=" + folder_.Path("in.jsonl"), "--output=" + folder_.Path("out")})
                .status,
            1);
  EXPECT_THAT(Verify().out, HasSubstr(": 1 of 1 answers"));
}

TEST_F(VerifyCommandTest, SaysWhatCannotBeVerified) {
  const auto fails = [&](const std::string& content, const std::string& text) {
    folder_.Write("out", content);
    const auto run = Verify();
    EXPECT_EQ(run.status, 1);
    EXPECT_THAT(run.err, HasSubstr(text));
  };
  fails("", "no header");
  fails("notes\n", "no header");
  fails("{\"dyad_run\":{}}\n", "has no answers to compare");
  fails("{\"dyad_run\":{\"input\":{\"name\":\"-\"}}}\n{\"run\":\"x\"}\n", "cannot be read again");
  fails(
      "{\"dyad_run\":{\"task\":{\"name\":\"dance\"},\"input\":{\"name\":\"x\",\"sha256\":\"x\"}}}"
      "\n{}\n",
      "the command 'dance', which this dyadctl lacks");
  fails(
      "{\"dyad_run\":{\"task\":{\"name\":\"health\"},\"input\":{\"name\":\"x\",\"sha256\":\"x\"}}}"
      "\n{}\n",
      "the header has what its command does not take: unknown flag --input");
  EXPECT_EQ(RunDyadctl({"verify"}).status, 2);
  EXPECT_EQ(RunDyadctl({"verify", "/nowhere"}).status, 1);
}

}  // namespace
}  // namespace dyad::client
