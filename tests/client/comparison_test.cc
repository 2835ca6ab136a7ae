// Rows and changes of two runs; whole outputs are in compare_command_test.cc.
#include "client/comparison.h"

#include "client/statistics.h"
#include "gtest/gtest.h"

namespace dyad::client {
namespace {

ScoredItem Item(const std::string& row, std::optional<double> score, std::optional<double> margin) {
  return {.row = row, .phenomenon = row, .score = score, .margin = margin};
}

TEST(ComparisonTest, RowsArePairedItemByItem) {
  const ScoredRun a = {{},
                       {Item("x", 1, 2), Item("x", 0, -1), Item("y", 0.5, {}), Item("y", {}, {})}};
  const ScoredRun b = {{}, {Item("x", 0, -3), Item("x", 0, -9), Item("y", 1, {}), Item("y", 1, 1)}};
  const Json json = ComparisonJson(a, b);
  EXPECT_EQ(json["left_out"], 1);
  EXPECT_EQ(json["rows"]["x"]["items"], 2);
  EXPECT_EQ(json["rows"]["x"]["difference"], -0.5);
  EXPECT_EQ(json["rows"]["x"]["low"], BootstrapInterval({{{-1, 0}, 1}}).low);
  EXPECT_EQ(json["rows"]["x"]["p"], McNemarP(1, 0));
  EXPECT_EQ(json["rows"]["y"]["second_better"], 1);
  EXPECT_EQ(json["pooled"]["items"], 3);
  ASSERT_EQ(json["changes"].size(), 2u);
  EXPECT_EQ(json["changes"][0]["answer"], 1);
  EXPECT_EQ(json["changes"][0]["second_margin"], -3.0);
  EXPECT_EQ(json["changes"][1]["second_margin"], 0.0);  // the task has none
}

TEST(ComparisonTest, NothingInCommonIsNoMean) {
  const ScoredRun a = {{}, {Item("x", 1, 2)}}, b = {{}, {Item("x", {}, {})}};
  EXPECT_TRUE(ComparisonJson(a, b)["pooled"].is_null());
  EXPECT_EQ(ComparisonJson(a, b)["left_out"], 1);
}

}  // namespace
}  // namespace dyad::client
