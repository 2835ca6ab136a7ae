// Options and summary that `pairs` and `blimp` share.
#include "client/pair_command.h"

#include <algorithm>

#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::RunDyadctl;

absl::StatusOr<PairRunOptions> OptionsOf(std::vector<std::string> words) {
  PairCommand command(CommandHelp(), PairSource::kLines, "pairs");
  CLI::App app;
  command.AddFlags(app);
  std::reverse(words.begin(), words.end());
  app.parse(words);
  return command.Options();
}

TEST(PairCommandTest, OptionsComeFromFlags) {
  const auto options = OptionsOf({"--server=h:1", "--model=m", "--convention=BABYLM", "--streams=8",
                                  "--concurrency=9", "--special_tokens=LITERAL", "--output=o"});
  ASSERT_OK(options);
  EXPECT_EQ(options->connection.server, "h:1");
  EXPECT_EQ(options->model, "m");
  EXPECT_EQ(options->convention, v1::CONVENTION_BABYLM);
  EXPECT_EQ(options->special_tokens, v1::SPECIAL_TOKENS_LITERAL);
  EXPECT_EQ(options->window, 9);
  EXPECT_EQ(options->streams, 8);
  EXPECT_EQ(options->output, "o");
}

TEST(PairCommandTest, WithoutAFileAnswersGoNowhere) {
  EXPECT_EQ(OptionsOf({})->output, "/dev/null");
  EXPECT_EQ(OptionsOf({})->streams, 1);
}

TEST(PairCommandTest, RefusesWhatIsOutOfRange) {
  const auto refused = RunDyadctl({"pairs", "a", "b", "--streams=65"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("--streams: Value 65 not in range 1 to 64"));
  EXPECT_THAT(RunDyadctl({"pairs", "a", "b", "--concurrency=0"}).err,
              HasSubstr("--concurrency: Value 0"));
  EXPECT_FALSE(OptionsOf({"--convention=X"}).ok());
  EXPECT_FALSE(OptionsOf({"--special_tokens=X"}).ok());
}

PairRunResult SomeResult() {
  PairRunResult result;
  result.convention = v1::CONVENTION_LM_EVAL;
  result.model = "m";
  result.model_digest = "d1";
  result.scored = 30;
  result.batch.elapsed = absl::Seconds(2);
  return result;
}

Accuracy OnePair() {
  Accuracy accuracy;
  accuracy.Add({{"phenomenon", "p"}, {"tie", false}, {"correct", true}});
  return accuracy;
}

TEST(PairCommandTest, TheSummaryEndsWithTheSpeed) {
  const std::string text = SummaryText(OnePair(), SomeResult());
  EXPECT_THAT(text, HasSubstr("overall"));
  EXPECT_THAT(text, HasSubstr("m, LM_EVAL: 30 pairs in 0:02, 15.0 pairs/s\n"));
}

TEST(PairCommandTest, WhatAnEarlierRunScoredHasNoSpeed) {
  PairRunResult result = SomeResult();
  result.scored = 0;
  EXPECT_TRUE(SummaryJson(OnePair(), result)["pairs_per_second"].is_null());
  EXPECT_THAT(SummaryText(OnePair(), result), HasSubstr("scored by an earlier run"));
}

TEST(PairCommandTest, TheJsonSummaryIsOneObject) {
  const Json json = SummaryJson(OnePair(), SomeResult());
  EXPECT_EQ(json["model_digest"], "d1");
  EXPECT_EQ(json["pairs_per_second"], 15.0);
  EXPECT_EQ(json["accuracy"], 1.0);
  EXPECT_EQ(json["phenomena"]["p"]["pairs"], 1);
}

}  // namespace
}  // namespace dyad::client
