// dyadctl blimp, whole.
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

std::string Pair(const std::string& uid, const std::string& term, int id) {
  return FormatLine({{"sentence_good", "good"},
                     {"sentence_bad", std::string(static_cast<size_t>(4 + id), 'x')},
                     {"UID", uid},
                     {"linguistics_term", term},
                     {"pairID", std::to_string(id)}}) +
         "\n";
}

class BlimpCommandTest : public ::testing::Test {
 protected:
  BlimpCommandTest() {
    folder_.Write("data/passive_1.jsonl", Pair("passive_1", "argument_structure", 0) +
                                              Pair("passive_1", "argument_structure", 1));
    folder_.Write("data/animate.jsonl", Pair("animate", "s-selection", 2));
  }
  testing::DyadctlRun Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"blimp", folder_.Path("data"), "--server", server_.address()});
    return RunDyadctl(words);
  }

  FakeServer server_;
  TemporaryFolder folder_;
};

TEST_F(BlimpCommandTest, PrintsTheTableByPhenomenon) {
  const auto run = Run({});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("argument_structure          2       3      1    1.0000  "));
  EXPECT_THAT(run.out, HasSubstr("overall                     2       3      1    1.0000  "));
}

TEST_F(BlimpCommandTest, JsonHasTheParadigms) {
  const auto json = ParseLine(Run({"--json"}).out);
  ASSERT_OK(json);
  EXPECT_EQ((*json)["pairs"], 3);
  EXPECT_EQ((*json)["paradigms"]["animate"]["phenomenon"], "argument_structure");
  EXPECT_EQ((*json)["convention"], "LM_EVAL");
}

TEST_F(BlimpCommandTest, OutputHasEachPairInTheOrderOfTheFileNames) {
  ASSERT_EQ(Run({"--output=" + folder_.Path("out"), "--streams=2"}).status, 0);
  std::istringstream lines(folder_.Read("out"));
  std::string header;
  std::getline(lines, header);
  EXPECT_THAT(header, HasSubstr("\"task\":{\"name\":\"blimp\"}"));
  for (const char* uid : {"animate", "passive_1", "passive_1"}) {
    std::string line;
    std::getline(lines, line);
    const auto json = ParseLine(line);
    ASSERT_OK(json);
    EXPECT_EQ((*json)["UID"], uid);
    EXPECT_TRUE(json->contains("good_sum"));
  }
}

TEST_F(BlimpCommandTest, ARerunScoresNothingTwice) {
  ASSERT_EQ(Run({"--output=" + folder_.Path("out")}).status, 0);
  const auto again = Run({"--output=" + folder_.Path("out")});
  EXPECT_EQ(again.status, 0);
  EXPECT_THAT(again.out, HasSubstr("overall                     2       3"));
  EXPECT_THAT(again.err, HasSubstr("3 of 3 lines were in the output already"));
}

TEST_F(BlimpCommandTest, TheLimitHoldsForEachParadigm) {
  EXPECT_THAT(Run({"--limit=1"}).out, HasSubstr("overall                     2       2"));
}

TEST_F(BlimpCommandTest, NeedsAPath) {
  EXPECT_EQ(RunDyadctl({"blimp"}).status, 2);
  EXPECT_THAT(RunDyadctl({"blimp", "/nowhere"}).err,
              HasSubstr("cannot open /nowhere: No such file or directory"));
}

}  // namespace
}  // namespace dyad::client
