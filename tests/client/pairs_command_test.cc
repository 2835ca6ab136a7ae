// dyadctl pairs, whole.
#include "client/dyadctl.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RunDyadctl;
using testing::TemporaryFolder;

constexpr char kTwoPairs[] =
    "{\"sentence_good\":\"a\",\"sentence_bad\":\"aa\",\"phenomenon\":\"length\"}\n"
    "{\"sentence_good\":\"bbb\",\"sentence_bad\":\"b\",\"phenomenon\":\"length\"}\n"
    "{\"sentence_good\":\"c\",\"sentence_bad\":\"c\",\"phenomenon\":\"same\"}\n";

TEST(PairsCommandTest, JsonGivesALinePerPair) {
  FakeServer server;
  const auto run =
      RunDyadctl({"pairs", "--json", "--input=-", "--server", server.address()}, kTwoPairs);
  EXPECT_EQ(run.status, 0) << run.err;
  std::istringstream lines(run.out);
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(
      line,
      R"({"sentence_good":"a","sentence_bad":"aa","phenomenon":"length","good_sum":-1.1,)"
      R"("bad_sum":-2.1,"good_mean":0.0,"bad_mean":0.0,"good_scored_tokens":0,"bad_scored_tokens":0,"margin":1.0,"tie":false,"correct":true,"first_difference":2})");
  std::getline(lines, line);
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr(R"("tie":true,"correct":true,"first_difference":null})"));
}

TEST(PairsCommandTest, PeopleSeeEachPairAndTheTable) {
  FakeServer server;
  const auto run = RunDyadctl({"pairs", "--input=-", "--server", server.address()}, kTwoPairs);
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("right    +1.0000  a\n"));
  EXPECT_THAT(run.out, HasSubstr("wrong    -2.0000  bbb\n"));
  EXPECT_THAT(run.out, HasSubstr("tie      +0.0000  c\n"));
  EXPECT_THAT(run.out, HasSubstr("length              1       2      0    0.5000  "));
  EXPECT_THAT(run.out, HasSubstr("overall             2       3      1    0.6667  "));
  EXPECT_THAT(run.out, HasSubstr("fake, LM_EVAL: 3 pairs"));
}

TEST(PairsCommandTest, OutputGetsThePairsAndTheScreenTheTable) {
  FakeServer server;
  const TemporaryFolder folder;
  const auto run = RunDyadctl({"pairs", "--input=" + folder.Write("in", kTwoPairs),
                               "--output=" + folder.Path("out"), "--server", server.address()});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, Not(HasSubstr("right")));
  EXPECT_THAT(run.out, HasSubstr("overall"));
  EXPECT_THAT(folder.Read("out"), HasSubstr("\"margin\":-2.0"));
}

TEST(PairsCommandTest, APrefixKeepsALinesOwnKeys) {
  FakeServer server;
  const TemporaryFolder folder;
  const std::string at = "--server=" + server.address();
  const std::string in = folder.Write(
      "in", "{\"sentence_good\":\"a\",\"sentence_bad\":\"aa\",\"margin\":\"my own\"}\n");
  const std::vector<std::string> command = {"pairs", "--input=" + in, "--prefix=d_",
                                            "--output=" + folder.Path("out"), at};
  const auto run = RunDyadctl(command);
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("overall             1       1      0    1.0000  "));
  EXPECT_THAT(folder.Read("out"), HasSubstr("\"prefix\":\"d_\""));
  EXPECT_THAT(folder.Read("out"), HasSubstr("\"margin\":\"my own\",\"run\":"));
  EXPECT_THAT(folder.Read("out"), HasSubstr("\"d_margin\":1.0,\"d_tie\":false,\"d_correct\":true"));
  EXPECT_THAT(RunDyadctl(command).out, HasSubstr("1.0000"));  // from the file
  EXPECT_THAT(RunDyadctl({"verify", folder.Path("out"), at}).out,
              HasSubstr("1 of 1 answers asked for again, all with the same bits"));
  // Tasks refuse a line that has a key of the answer's; by the prefix it has none.
  const std::string task = folder.Write("in.jsonl", folder.Read("in"));
  EXPECT_THAT(RunDyadctl({"evaluate", "blimp", task, at}).err,
              HasSubstr("in.jsonl: line 1: has the key margin, which the answer has too"));
  EXPECT_EQ(RunDyadctl({"evaluate", "blimp", task, "--prefix=d_", at}).status, 0);
}

TEST(PairsCommandTest, ABadLineEndsInStatusOne) {
  FakeServer server;
  const auto run = RunDyadctl({"pairs", "--json", "--input=-", "--server", server.address()},
                              "{\"sentence_good\":1}\n");
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.out, HasSubstr("{\"sentence_good\":1,\"error\":{\"code\":\"INVALID_ARGUMENT\""));
}

TEST(PairsCommandTest, OnePairMayStandOnTheCommandLine) {
  FakeServer server;
  EXPECT_THAT(RunDyadctl({"pairs", "a", "aa", "--server", server.address()}).out,
              HasSubstr("right    +1.0000  a\n"));
  EXPECT_EQ(RunDyadctl({"pairs", "a"}).status, 2);
  EXPECT_EQ(RunDyadctl({"pairs", "a", "b", "--input=-"}).status, 2);
}

}  // namespace
}  // namespace dyad::client
