// A run read for its report: rows, means, faults, texts.
#include "client/report_run.h"

#include "client/accuracy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/report_files.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using testing::PairLine;
using testing::RunHeaderLine;

class ReportRunTest : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
};

TEST_F(ReportRunTest, PhenomenaHaveTheirRows) {
  const std::string path = folder_.Write(
      "a", RunHeaderLine("blimp") + PairLine("u1", "p", 2) + PairLine("u2", "p", -1) +
               PairLine("u2", "p", 0) + PairLine("u3", "q", 1) +
               "{\"UID\":\"u3\",\"error\":{\"code\":\"INTERNAL\",\"message\":\"m\"}}\n");
  const auto report = ReadTaskReport(path, "");
  ASSERT_OK(report);
  ASSERT_EQ(report->phenomena.size(), 2u);
  const ReportPhenomenon& p = report->phenomena[0];
  EXPECT_EQ(p.all.name, "p");
  EXPECT_EQ(p.all.items, 3);
  EXPECT_EQ(p.all.ties, 1);
  ASSERT_EQ(p.rows.size(), 2u);
  EXPECT_EQ(p.rows[1].score(), 0.5);
  EXPECT_EQ(p.rows[1].chance(), 0.5);
  EXPECT_EQ(p.rows[1].interval().low, WilsonInterval(1, 2).low);
  EXPECT_EQ(report->pooled.items, 4);
  // As the command's own table has it.
  Accuracy accuracy;
  for (const auto& [row, phenomenon, correct] :
       {std::tuple("u1", "p", true), {"u2", "p", false}, {"u2", "p", true}, {"u3", "q", true}}) {
    accuracy.Add({{"UID", row}, {"phenomenon", phenomenon}, {"correct", correct}});
  }
  ASSERT_TRUE(report->macro.has_value());
  EXPECT_EQ(report->macro->score, accuracy.ToJson()["macro"]["accuracy"]);
  EXPECT_EQ(report->macro->interval.high, accuracy.ToJson()["macro"]["high"]);
  EXPECT_EQ(report->faults.count(), 1);
  EXPECT_THAT(report->faults.codes, ElementsAre(Pair("INTERNAL", 1)));
  EXPECT_EQ(report->faults.first[0].answer, 5u);
  EXPECT_EQ(report->faults.first[0].message, "m");
}

TEST_F(ReportRunTest, TasksHaveLabelsAndCorrelations) {
  const std::string choice =
      "{\"options\":[\"a\",\"b\"],\"row\":\"g\",\"sums\":[-1,-2],\"best\":0,"
      "\"tie\":false,\"score\":";
  const std::string path = folder_.Write(
      "a", RunHeaderLine("choices") + choice + "1.0}\n" + choice + "null}\n" + choice + "0.0}\n");
  const std::string people =
      folder_.Write("b.csv", "source,task,row,accuracy,n\np,choices,g,0.5,\np,blimp,g,0.5,\n");
  const auto report = ReadTaskReport(path, people);
  ASSERT_OK(report);
  EXPECT_EQ(report->unlabelled, 1);
  EXPECT_EQ(report->macro->score, 0.5);
  EXPECT_EQ(report->baselines.size(), 1u);
  const auto texts = ReadAnswerTexts(*report, {3});
  ASSERT_OK(texts);
  EXPECT_THAT(*texts, ElementsAre(Pair(3u, ElementsAre(Pair("0", "a"), Pair("1", "b")))));

  std::string wugs = RunHeaderLine("wug_adj");
  for (const auto& [p, ratio] : {std::pair("0.1", "0"), {"0.9", "1"}, {"0.5", "0.5"}}) {
    wugs += std::string(
                "{\"sentences\":\"a\\tb\",\"row\":\"wug_adj\",\"sums\":[-1,-2],\"best\":0,"
                "\"tie\":false,\"p_first\":") +
            p + ",\"ratio\":" + ratio + "}\n";
  }
  const auto wug = ReadTaskReport(folder_.Write("w", wugs), "");
  ASSERT_OK(wug);
  EXPECT_EQ(wug->correlation, 1.0);
  EXPECT_TRUE(wug->phenomena.empty());
  EXPECT_FALSE(wug->macro.has_value());
}

TEST_F(ReportRunTest, TextsArePairsOfSentences) {
  const auto report =
      ReadTaskReport(folder_.Write("a", RunHeaderLine("blimp") + PairLine("u", "p", 1) +
                                            "{\"correct\":true,\"margin\":1}\n"),
                     "");
  ASSERT_OK(report);
  EXPECT_THAT(*ReadAnswerTexts(*report, {1, 2}),
              ElementsAre(Pair(1u, ElementsAre(Pair("good", "good u"), Pair("bad", "bad u"))),
                          Pair(2u, ElementsAre())));
  EXPECT_THAT(*ReadAnswerTexts(*report, {}), ElementsAre());
}

}  // namespace
}  // namespace dyad::client
