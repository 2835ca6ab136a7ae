// Answers of every kind, read back.
#include "client/scored_run.h"

#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

std::string HeaderOfTask(const std::string& task, const std::string& convention = "BABYLM") {
  return FormatLine(Json{{"dyad_run",
                          {{"run", "0123456789ab"},
                           {"task", {{"name", task}}},
                           {"convention", convention},
                           {"options", Json::object()},
                           {"input", {{"sha256", "s"}}}}}}) +
         "\n";
}

class ScoredRunTest : public ::testing::Test {
 protected:
  absl::StatusOr<ScoredRun> Read(const std::string& content) {
    return ReadScoredRun(folder_.Write("a", content));
  }
  testing::TemporaryFolder folder_;
};

TEST_F(ScoredRunTest, PairsCountByParadigmAndPhenomenon) {
  const auto run = Read(HeaderOfTask("blimp") +
                        "{\"UID\":\"u\",\"linguistics_term\":\"s-selection\",\"margin\":0.0,"
                        "\"correct\":true}\n{\"UID\":\"u\",\"error\":{\"code\":\"X\"}}\n");
  ASSERT_OK(run);
  ASSERT_EQ(run->items.size(), 2u);
  EXPECT_EQ(run->items[0].row + "/" + run->items[0].phenomenon, "u/argument_structure");
  EXPECT_EQ(run->items[0].score, 1.0);
  EXPECT_TRUE(run->items[0].tie);
  EXPECT_EQ(run->items[0].chance, 0.5);
  EXPECT_EQ(run->items[1].score, std::nullopt);
}

TEST_F(ScoredRunTest, TasksHaveMarginsAndChances) {
  const std::string answer =
      "{\"row\":\"regular_1_ops\",\"file\":\"regular\",\"sums\":[-3.0,-2.0,-4.0,-5.0],\"best\":1,"
      "\"tie\":false,\"score\":0.0}\n";
  const auto run = Read(HeaderOfTask("entity_tracking") + answer);
  ASSERT_OK(run);
  EXPECT_EQ(run->items[0].phenomenon, "regular");
  EXPECT_EQ(run->items[0].margin, -1.0);
  EXPECT_EQ(run->items[0].chance, 0.25);
  EXPECT_EQ(Read(HeaderOfTask("choices") + answer)->items[0].phenomenon, "regular_1_ops");
  // By the mean of a token where that decides.
  const auto means = Read(HeaderOfTask("choices", "MINICONS_MEAN") +
                          "{\"row\":\"r\",\"sums\":[-3,-2],\"means\":[-0.5,-1],\"best\":0,"
                          "\"tie\":false,\"score\":1}\n");
  EXPECT_EQ(means->items[0].margin, 0.5);
  const auto paper = Read(HeaderOfTask("ewok") +
                          "{\"row\":\"r\",\"sums\":[-3,-2,-4,-5],\"tie\":false,\"score\":0.5}\n");
  EXPECT_EQ(paper->items[0].score, 0.5);
  EXPECT_EQ(paper->items[0].margin, std::nullopt);
  EXPECT_EQ(paper->items[0].chance, 0.5);
  const auto wug = Read(HeaderOfTask("wug_adj") +
                        "{\"row\":\"wug_adj\",\"sums\":[-1,-2],\"best\":0,"
                        "\"tie\":false,\"p_first\":0.75,\"ratio\":1}\n");
  ASSERT_OK(wug);
  EXPECT_EQ(wug->items[0].shares, (std::pair<double, double>(0.75, 1)));
  EXPECT_THAT(CheckComparable(*wug, *wug),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("only a correlation")));
}

TEST_F(ScoredRunTest, OwnKeysOfALineAreNoAnswers) {
  // Called as in an answer of pairs, in a task that is none.
  const auto choice =
      Read(HeaderOfTask("choices") +
           "{\"correct\":true,\"margin\":9,\"row\":\"r\",\"sums\":[-3,-2],\"best\":1,"
           "\"tie\":false,\"score\":0}\n");
  ASSERT_OK(choice);
  EXPECT_EQ(choice->items[0].row, "r");
  EXPECT_EQ(choice->items[0].margin, -1.0);
  // And where a prefix keeps them apart.
  Json header = *ParseLine(HeaderOfTask("pairs"));
  header["dyad_run"]["options"]["prefix"] = "x_";
  const auto pair =
      Read(FormatLine(header) + "\n{\"correct\":true,\"x_margin\":-1.5,\"x_correct\":false}\n");
  ASSERT_OK(pair);
  EXPECT_EQ(pair->items[0].score, 0.0);
  EXPECT_EQ(pair->items[0].margin, -1.5);
}

TEST_F(ScoredRunTest, WhatIsNoAnswerIsNamed) {
  const auto fails = [&](const std::string& content, const char* message) {
    EXPECT_THAT(Read(content), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(message)));
  };
  fails("notes\n", "a: it has no header of a run");
  fails(HeaderOfTask("blimp") + "{\"sum\":1}\n", "a: answer 1 is no answer of pairs");
  fails(HeaderOfTask("blimp") + "x\n", "a: answer 1 not JSON");
  // A row of entity_tracking is of a file.
  fails(
      HeaderOfTask("entity_tracking") + "{\"row\":\"r\",\"sums\":[-1],\"tie\":false,\"score\":1}\n",
      "answer 1 is no answer");
  EXPECT_THAT(ReadScoredRun(folder_.Path("none")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
}

}  // namespace
}  // namespace dyad::client
