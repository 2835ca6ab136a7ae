// dyadctl compare, whole, on files that are written here. Interval and p are those of statistics.h.
#include "client/dyadctl.h"
#include "client/json_line.h"
#include "client/statistics.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;

std::string Header(const std::string& sha256, const std::string& task = "blimp") {
  return FormatLine(Json{{"dyad_run",
                          {{"run", "0123456789ab"},
                           {"model", {{"name", "m"}}},
                           {"task", {{"name", task}}},
                           {"convention", "BABYLM"},
                           {"options", Json::object()},
                           {"input", {{"sha256", sha256}}}}}}) +
         "\n";
}

// A letter an item: right or wrong, or an error.
std::string Pairs(const std::string& row, const std::string& verdicts) {
  std::string lines;
  for (const char verdict : verdicts) {
    Json line = {{"UID", row}, {"run", "0123456789ab"}};
    if (verdict == 'e') {
      line["error"] = {{"code", "INTERNAL"}};
    } else {
      line["margin"] = verdict == 'r' ? 2.0 : -1.0;
      line["correct"] = verdict == 'r';
    }
    lines += FormatLine(line) + "\n";
  }
  return lines;
}

class CompareCommandTest : public ::testing::Test {
 protected:
  testing::DyadctlRun Run(const std::string& a, const std::string& b,
                          std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {"compare", folder_.Write("a", a), folder_.Write("b", b)});
    return testing::RunDyadctl(flags);
  }
  testing::TemporaryFolder folder_;
};

TEST_F(CompareCommandTest, DifferencesHaveIntervalsAndTests) {
  const auto run = Run(Header("s") + Pairs("x", "rrrrrrrw") + Pairs("y", "rwe"),
                       Header("s") + Pairs("x", "rwwwwwwr") + Pairs("y", "rwr"), {"--json"});
  ASSERT_EQ(run.status, 0) << run.err;
  const Json json = *ParseLine(run.out);
  EXPECT_EQ(json["left_out"], 1);
  const Json& x = json["rows"]["x"];
  EXPECT_EQ(x["items"], 8);
  EXPECT_EQ(x["first"], 0.875);
  EXPECT_EQ(x["second"], 0.25);
  EXPECT_EQ(x["difference"], -0.625);
  EXPECT_EQ(x["first_better"], 6);
  EXPECT_EQ(x["second_better"], 1);
  EXPECT_EQ(x["p"], McNemarP(6, 1));
  EXPECT_EQ(x["p_holm"], 2 * McNemarP(6, 1));
  const Interval interval = BootstrapInterval({{{0, -1, -1, -1, -1, -1, -1, 1}, 1}});
  EXPECT_EQ(x["low"], interval.low);
  EXPECT_EQ(x["high"], interval.high);
  EXPECT_EQ(json["rows"]["y"]["p"], 1.0);
  EXPECT_EQ(json["pooled"]["items"], 10);
  EXPECT_DOUBLE_EQ(json["pooled"]["difference"].get<double>(), -0.5);
  EXPECT_EQ(json["changes"].size(), 7u);
  EXPECT_EQ(json["changes"][0]["answer"], 2);
  EXPECT_EQ(json["changes"][0]["second_margin"], -1.0);
  EXPECT_EQ(json["runs"].size(), 2u);
}

TEST_F(CompareCommandTest, PeopleGetATable) {
  const auto run = Run(Header("s") + Pairs("x", "rrw"), Header("s") + Pairs("x", "rwe"));
  EXPECT_THAT(run.out, HasSubstr("first   m, BABYLM, run 0123456789ab\n"));
  EXPECT_THAT(run.out, HasSubstr("x            2  1.0000  0.5000  -0.5000  "));
  EXPECT_THAT(run.out, HasSubstr("answer 2, x: margin +2.0000, then -1.0000\n"));
  EXPECT_THAT(run.out, HasSubstr("1 items have no score in one of the runs"));
}

TEST_F(CompareCommandTest, TasksOfEvaluateCompareByTheirScores) {
  const auto line = [](double score, double sum) {
    return FormatLine({{"row", "r"},
                       {"sums", {sum, -3.0, -4.0}},
                       {"best", 0},
                       {"tie", false},
                       {"score", score}}) +
           "\n";
  };
  const auto run = Run(Header("s", "choices") + line(1, -1) + line(1, -2.5),
                       Header("s", "choices") + line(0, -5) + line(1, -2.5), {"--json"});
  ASSERT_EQ(run.status, 0) << run.err;
  const Json json = *ParseLine(run.out);
  EXPECT_EQ(json["rows"]["r"]["difference"], -0.5);
  EXPECT_EQ(json["changes"][0]["first_margin"], 2.0);
  EXPECT_EQ(json["changes"][0]["second_margin"], -2.0);
}

TEST_F(CompareCommandTest, OnlyRunsOverTheSameItemsCompare) {
  const auto fails = [&](const std::string& a, const std::string& b, const std::string& text) {
    const auto run = Run(a, b);
    EXPECT_EQ(run.status, 1);
    EXPECT_THAT(run.err, HasSubstr(text));
  };
  const std::string pairs = Pairs("x", "rw");
  fails(Header("s") + pairs, Header("t") + pairs,
        "input.sha256 is \"s\" in the first and \"t\" in the second");
  fails(Header("s") + pairs, Header("s", "pairs") + pairs, "task.name is \"blimp\"");
  fails(Header("s") + pairs, Header("s") + Pairs("x", "r"), "2 answers, the second 1");
  fails(Header("s") + "{\"sum\":1}\n", Header("s") + pairs, "a: answer 1 is no answer of pairs");
  fails(Header("s") + "x\n", Header("s") + pairs, "a: answer 1 not JSON");
  fails("notes\n", Header("s") + pairs, "a: it has no header of a run");
  EXPECT_EQ(testing::RunDyadctl({"compare", "a"}).status, 2);
  EXPECT_EQ(Run(Header("s"), Header("s")).status, 0);
}

}  // namespace
}  // namespace dyad::client
