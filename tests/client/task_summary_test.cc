// Rows, macro and pooled scores.
#include "client/task_summary.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;

Json Answer(const std::string& row, double score, bool tie = false, const std::string& file = "") {
  return {{"row", row}, {"score", score}, {"tie", tie}, {"file", file}};
}

TEST(TaskSummaryTest, MacroIsTheMeanOfTheRows) {
  TaskSummary summary(*FindEvaluateTask("ewok", "paper"));
  for (const double score : {1.0, 1.0, 0.5}) summary.Add(Answer("a", score, score == 0.5));
  summary.Add(Answer("b", 0));
  summary.Add(ErrorJson(absl::InternalError("x")));
  const Json json = summary.ToJson();
  EXPECT_EQ(json["failed"], 1);
  EXPECT_EQ(json["rows"]["a"]["items"], 3);
  EXPECT_EQ(json["rows"]["a"]["ties"], 1);
  EXPECT_DOUBLE_EQ(json["rows"]["a"]["score"].get<double>(), 2.5 / 3);
  EXPECT_DOUBLE_EQ(json["macro"]["score"].get<double>(), 2.5 / 6);
  EXPECT_DOUBLE_EQ(json["pooled"]["score"].get<double>(), 2.5 / 4);
  const Interval wilson = WilsonInterval(2.5, 3);
  EXPECT_EQ(json["rows"]["a"]["low"], wilson.low);
  EXPECT_EQ(json["rows"]["a"]["high"], wilson.high);
  EXPECT_EQ(json["macro"]["low"], BootstrapInterval({{{1, 1, 0.5}, 0.5}, {{0}, 0.5}}).low);
  EXPECT_THAT(summary.Table(summary.ToJson()), HasSubstr("a              3       1  0.8333  "));
  EXPECT_THAT(summary.Table(summary.ToJson()), HasSubstr("macro          4       1  0.4167  "));
  EXPECT_THAT(summary.Table(summary.ToJson()), HasSubstr("1 items failed and count nowhere\n"));
}

TEST(TaskSummaryTest, EntityTrackingIsMeanOverFilesOfMeansOverRows) {
  TaskSummary summary(*FindEvaluateTask("entity_tracking", ""));
  summary.Add(Answer("regular_0_ops", 1, false, "regular"));
  summary.Add(Answer("regular_1_ops", 0, false, "regular"));
  summary.Add(Answer("ambiref_0_ops", 1, false, "ambiref"));
  EXPECT_DOUBLE_EQ(summary.ToJson()["macro"]["score"].get<double>(), 0.75);
  EXPECT_DOUBLE_EQ(summary.ToJson()["pooled"]["score"].get<double>(), 2.0 / 3);
}

TEST(TaskSummaryTest, WugsCorrelate) {
  TaskSummary summary(*FindEvaluateTask("wug_past", ""));
  for (const auto& [p, ratio] : {std::pair(0.1, 10), {0.5, 20}, {0.6, 30}, {0.9, 25}}) {
    summary.Add({{"p_first", p}, {"ratio", ratio}});
  }
  EXPECT_NEAR(summary.ToJson()["spearman"].get<double>(), 0.8, 1e-15);
  EXPECT_THAT(summary.Table(summary.ToJson()),
              HasSubstr("4 items, Spearman's correlation with people 0.8000\n"));
}

TEST(TaskSummaryTest, NothingIsNoZero) {
  TaskSummary summary(*FindEvaluateTask("choices", ""));
  summary.Add({{"row", "all"}, {"score", nullptr}});
  const Json json = summary.ToJson();
  EXPECT_EQ(json["unlabelled"], 1);
  EXPECT_TRUE(json["macro"]["score"].is_null());
  EXPECT_TRUE(json["pooled"]["score"].is_null());
  EXPECT_THAT(summary.Table(summary.ToJson()), HasSubstr("pooled         0       0       -  -\n"));
  EXPECT_TRUE(TaskSummary(*FindEvaluateTask("wug_adj", "")).ToJson()["spearman"].is_null());
}

}  // namespace
}  // namespace dyad::client
