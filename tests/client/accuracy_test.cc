// Counting pairs: BLiMP's 67 paradigms under 12 phenomena, ties, failures.
#include "client/accuracy.h"

#include "gtest/gtest.h"

namespace dyad::client {
namespace {

struct Paradigms {
  const char* term;
  int count;
};

// "linguistics_term" as in BLiMP's files and how many of the 67 files have it.
constexpr Paradigms kBlimp[] = {{"anaphor_agreement", 2},
                                {"argument_structure", 7},
                                {"binding", 7},
                                {"control_raising", 5},
                                {"determiner_noun_agreement", 8},
                                {"ellipsis", 2},
                                {"filler_gap_dependency", 7},
                                {"irregular_forms", 2},
                                {"island_effects", 8},
                                {"npi_licensing", 7},
                                {"quantifiers", 4},
                                {"s-selection", 2},
                                {"subject_verb_agreement", 6}};

Json Answer(const std::string& term, const std::string& uid, double margin) {
  return {{"UID", uid},
          {"linguistics_term", term},
          {"margin", margin},
          {"tie", margin == 0},
          {"correct", margin >= 0}};
}

Accuracy OnePairPerParadigm() {
  Accuracy accuracy;
  for (const Paradigms& paradigms : kBlimp) {
    for (int i = 0; i < paradigms.count; ++i) {
      accuracy.Add(Answer(paradigms.term, std::string(paradigms.term) + std::to_string(i), 1));
    }
  }
  return accuracy;
}

TEST(AccuracyTest, SixtySevenParadigmsMakeTwelvePhenomena) {
  const Accuracy accuracy = OnePairPerParadigm();
  EXPECT_EQ(accuracy.phenomena().size(), 12u);
  EXPECT_EQ(accuracy.phenomena().at("argument_structure").size(), 9u);
  EXPECT_FALSE(accuracy.phenomena().contains("s-selection"));
  EXPECT_EQ(accuracy.overall().pairs, 67);
  const Json json = accuracy.ToJson();
  EXPECT_EQ(json["paradigms"].size(), 67u);
  EXPECT_EQ(json["phenomena"]["argument_structure"]["paradigms"], 9);
  EXPECT_EQ(json["paradigms"]["s-selection0"]["phenomenon"], "argument_structure");
}

TEST(AccuracyTest, ATieCountsForGoodAndIsCounted) {
  Accuracy accuracy;
  accuracy.Add(Answer("binding", "principle_A_case_2", 0));
  accuracy.Add(Answer("binding", "principle_A_case_2", -1));
  accuracy.Add(Answer("binding", "principle_A_case_2", 2));
  EXPECT_EQ(accuracy.overall().pairs, 3);
  EXPECT_EQ(accuracy.overall().correct, 2);
  EXPECT_EQ(accuracy.overall().ties, 1);
}

TEST(AccuracyTest, FailedPairsCountNowhereElse) {
  Accuracy accuracy;
  accuracy.Add(Answer("binding", "u", 1));
  accuracy.Add(ErrorJson(absl::InvalidArgumentError("x")));
  EXPECT_EQ(accuracy.failed(), 1);
  EXPECT_EQ(accuracy.overall().accuracy(), 1.0);
  EXPECT_NE(accuracy.Table().find("1 pairs failed"), std::string::npos);
}

TEST(AccuracyTest, LinesOfOtherSourcesHaveAPhenomenonOrNone) {
  EXPECT_EQ(PhenomenonOf({{"phenomenon", "agreement"}}), "agreement");
  EXPECT_EQ(ParadigmOf({{"phenomenon", "agreement"}}), "agreement");
  EXPECT_EQ(PhenomenonOf(Json::object()), "all");
  EXPECT_EQ(PhenomenonOf({{"phenomenon", 7}}), "all");
  EXPECT_EQ(PhenomenonOf({{"UID", "hypernym"}}), "hypernym");
  EXPECT_EQ(ParadigmOf({{"UID", "hypernym"}}), "hypernym");
}

TEST(AccuracyTest, TheTableHasARowPerPhenomenonAndOneOverall) {
  Accuracy accuracy;
  accuracy.Add(Answer("binding", "a", 1));
  accuracy.Add(Answer("binding", "b", -1));
  accuracy.Add(Answer("ellipsis", "c", 0));
  EXPECT_EQ(accuracy.Table(),
            "phenomenon  paradigms   pairs   ties  accuracy  95 % interval\n"
            "binding             2       2      0    0.5000  0.0945 to 0.9055\n"
            "ellipsis            1       1      1    1.0000  0.2065 to 1.0000\n"
            "overall             3       3      1    0.6667  0.2077 to 0.9385\n"
            "mean of 3 paradigms 0.6667, 0.6667 to 0.6667\n");
}

TEST(AccuracyTest, MacroIsTheMeanOfParadigms) {
  Accuracy accuracy;
  for (int i = 0; i < 4; ++i) accuracy.Add(Answer("binding", "a", i < 3 ? 1 : -1));
  accuracy.Add(Answer("ellipsis", "b", -1));
  const Json json = accuracy.ToJson();
  EXPECT_EQ(json["accuracy"], 0.6);
  EXPECT_EQ(json["macro"]["accuracy"], 0.375);
  const Interval interval = BootstrapInterval({{{1, 1, 1, 0}, 0.5}, {{0}, 0.5}});
  EXPECT_EQ(json["macro"]["low"], interval.low);
  EXPECT_EQ(json["macro"]["high"], interval.high);
  EXPECT_EQ(json["phenomena"]["binding"]["low"], WilsonInterval(3, 4).low);
}

TEST(AccuracyTest, NoPairsHaveNoAccuracy) {
  EXPECT_EQ(Accuracy().overall().accuracy(), std::nullopt);
  EXPECT_TRUE(Accuracy().ToJson()["accuracy"].is_null());
  EXPECT_EQ(Accuracy().Table(),
            "phenomenon  paradigms   pairs   ties  accuracy  95 % interval\n"
            "overall             0       0      0         -  -\n");
  Accuracy failed;
  failed.Add(ErrorJson(absl::InvalidArgumentError("x")));
  EXPECT_TRUE(failed.ToJson()["accuracy"].is_null());
}

}  // namespace
}  // namespace dyad::client
