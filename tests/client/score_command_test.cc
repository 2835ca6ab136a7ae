// dyadctl score, whole.
#include "client/dyadctl.h"
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

TEST(ScoreCommandTest, ABatchGivesTheDocumentedKeys) {
  FakeServer server;
  const auto run = RunDyadctl(
      {"score", "--server", server.address(), "--input", "-"},
      "{\"text\": \"a\"}\n{\"ids\": [7, 11]}\n{\"text\": \"a\", \"convention\": \"BABYLM\"}\n");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out,
            "{\"ids\":[2,97],\"logprobs\":[null,-9.7],\"greedy\":[null,false],"
            "\"sum\":-9.699999809265137,\"mean\":-9.699999809265137,\"scored_tokens\":1,"
            "\"convention\":\"LM_EVAL\"}\n"
            "{\"ids\":[7,11],\"logprobs\":[null,-1.1],\"greedy\":[null,false],"
            "\"sum\":-1.100000023841858,\"mean\":-1.100000023841858,\"scored_tokens\":1,"
            "\"convention\":\"LM_EVAL\"}\n"
            "{\"ids\":[2,97],\"logprobs\":[null,-9.7],\"greedy\":[null,false],"
            "\"sum\":-9.699999809265137,\"mean\":-9.699999809265137,\"scored_tokens\":1,"
            "\"convention\":\"BABYLM\"}\n");
}

TEST(ScoreCommandTest, OrderIsKeptAndErrorsStandInTheirPlace) {
  FakeServer server;
  server.traffic.SetFaults({.longest_delay_ms = 10});
  const TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 60; ++i) lines += "{\"ids\":[1," + std::to_string(i) + "]}\n";
  lines += "{\"text\":\"refused\"}\n{\"ids\":[1,60]}\n";
  const auto run =
      RunDyadctl({"score", "--server=" + server.address(), "--concurrency=8",
                  "--input=" + folder.Write("in", lines), "--output=" + folder.Path("out")});
  EXPECT_EQ(run.status, 1);
  std::istringstream answers(folder.Read("out"));
  std::string line;
  std::getline(answers, line);
  EXPECT_THAT(line, HasSubstr("{\"dyad_run\":{"));
  for (int i = 0; i < 62 && std::getline(answers, line); ++i) {
    const int id = i < 60 ? i : 60;
    EXPECT_THAT(line, i == 60 ? HasSubstr("\"code\":\"INVALID_ARGUMENT\"")
                              : HasSubstr("\"ids\":[1," + std::to_string(id) + "]"));
  }
  EXPECT_FALSE(std::getline(answers, line));
  EXPECT_LE(server.traffic.most_at_once(), 8);
}

TEST(ScoreCommandTest, TheConventionFlagHoldsForLinesThatNameNone) {
  FakeServer server;
  const auto run =
      RunDyadctl({"score", "--server", server.address(), "--convention=MINICONS_SUM", "--input=-"},
                 "{\"text\":\"a\"}\n{\"text\":\"a\",\"convention\":\"BABYLM\"}\n");
  EXPECT_THAT(run.out, HasSubstr("MINICONS_SUM\"}\n"));
  EXPECT_THAT(run.out, HasSubstr("BABYLM\"}\n"));
}

TEST(ScoreCommandTest, OwnKeysComeBackWithAnswerAndError) {
  FakeServer server;
  const auto run = RunDyadctl({"score", "--server", server.address(), "--input=-"},
                              "{\"id\":\"x7\",\"text\":\"a\",\"condition\":\"plural\"}\n"
                              "{\"id\":\"x8\",\"text\":\"refused\",\"error\":\"old\"}\n"
                              "{\"id\":\"x9\"}\n");
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.out, HasSubstr("{\"id\":\"x7\",\"condition\":\"plural\",\"ids\":[2,97],"));
  EXPECT_THAT(run.out, HasSubstr("\n{\"id\":\"x8\",\"error\":{\"code\":\"INVALID_ARGUMENT\""));
  EXPECT_THAT(run.out, HasSubstr("\n{\"id\":\"x9\",\"error\":{\"code\":\"INVALID_ARGUMENT\""));
}

TEST(ScoreCommandTest, PeopleGetATableAndProgramsGetJson) {
  FakeServer server;
  const auto table = RunDyadctl({"score", "ab", "--server", server.address()});
  EXPECT_EQ(table.status, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("98    -9.80000      98  \"b\""));
  EXPECT_THAT(table.out, HasSubstr("over 2 of 3 tokens, LM_EVAL"));
  const auto nothing = RunDyadctl({"score", "--ids=7", "--server", server.address()});
  EXPECT_THAT(nothing.out, HasSubstr("nothing scored  over 0 of 1 tokens, LM_EVAL"));
  const auto json =
      RunDyadctl({"score", "ab", "--json", "--details", "--server", server.address()});
  EXPECT_THAT(json.out, HasSubstr("\"byte_offsets\":[0,0,1]"));
}

TEST(ScoreCommandTest, ContextsAndIdsComeByFlags) {
  FakeServer server;
  const auto text =
      RunDyadctl({"score", "b", "--context=a", "--json", "--server", server.address()});
  EXPECT_THAT(text.out, HasSubstr("\"logprobs\":[null,null,-9.8]"));
  const auto ids = RunDyadctl({"score", "--ids=5,6", "--json", "--server", server.address()});
  EXPECT_THAT(ids.out, HasSubstr("\"ids\":[5,6]"));
}

TEST(ScoreCommandTest, WrongFlagsAreRefusedBeforeAnythingIsSent) {
  FakeServer server;
  EXPECT_EQ(RunDyadctl({"score", "a", "--convention=X", "--server", server.address()}).status, 2);
  EXPECT_EQ(RunDyadctl({"score", "--server", server.address()}).status, 2);
  EXPECT_EQ(RunDyadctl({"score", "a", "--input=-", "--server", server.address()}).status, 2);
  EXPECT_EQ(RunDyadctl({"score", "--input=-", "--concurrency=0"}).status, 2);
  EXPECT_EQ(server.traffic.calls(), 0);
}

}  // namespace
}  // namespace dyad::client
