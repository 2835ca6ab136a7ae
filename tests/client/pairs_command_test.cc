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
