// Options and summary that `pairs` and `blimp` share.
#include "client/pair_command.h"

#include <sstream>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

std::vector<Flag> Flags() {
  std::vector<Flag> flags = PairFlags();
  flags.push_back({"server", FlagKind::kValue, "", ""});
  flags.push_back({"model", FlagKind::kValue, "", ""});
  flags.push_back({"json", FlagKind::kSwitch, "", ""});
  return flags;
}

Arguments Parse(const std::vector<std::string>& words) { return *Arguments::Parse(words, Flags()); }

TEST(PairCommandTest, OptionsComeFromFlags) {
  const auto options =
      PairRunFrom(Parse({"--server=h:1", "--model=m", "--convention=BABYLM", "--streams=8",
                         "--concurrency=9", "--special_tokens=LITERAL", "--output=o"}));
  ASSERT_OK(options);
  EXPECT_EQ(options->connection.server, "h:1");
  EXPECT_EQ(options->stream.model, "m");
  EXPECT_EQ(options->stream.convention, v1::BABYLM);
  EXPECT_EQ(options->stream.special_tokens, v1::LITERAL);
  EXPECT_EQ(options->stream.window, 9);
  EXPECT_EQ(options->streams, 8);
  EXPECT_EQ(options->output, "o");
}

TEST(PairCommandTest, WithoutAFileAnswersGoNowhere) {
  EXPECT_EQ(PairRunFrom(Parse({}))->output, "/dev/null");
  EXPECT_EQ(PairRunFrom(Parse({}))->streams, 1);
}

TEST(PairCommandTest, RefusesWhatIsOutOfRange) {
  EXPECT_THAT(PairRunFrom(Parse({"--streams=65"})),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--streams is 65")));
  EXPECT_FALSE(PairRunFrom(Parse({"--concurrency=0"})).ok());
  EXPECT_FALSE(PairRunFrom(Parse({"--convention=X"})).ok());
}

PairRunResult SomeResult() {
  PairRunResult result;
  result.info = {v1::LM_EVAL, "m", "d1"};
  result.scored = 30;
  result.elapsed = absl::Seconds(2);
  return result;
}

std::string Summary(const std::vector<std::string>& words) {
  Accuracy accuracy;
  accuracy.Add({{"phenomenon", "p"}, {"tie", false}, {"correct", true}});
  std::istringstream in;
  std::ostringstream out;
  PrintSummary(accuracy, SomeResult(), Parse(words), {.in = in, .out = out, .err = out});
  return out.str();
}

TEST(PairCommandTest, TheSummaryEndsWithTheSpeed) {
  EXPECT_THAT(Summary({}), HasSubstr("overall"));
  EXPECT_THAT(Summary({}), HasSubstr("m, LM_EVAL: 30 pairs in 0:02, 15.0 pairs/s\n"));
}

TEST(PairCommandTest, TheJsonSummaryIsOneObject) {
  const auto json = ParseLine(Summary({"--json"}));
  ASSERT_OK(json);
  EXPECT_EQ((*json)["model_digest"], "d1");
  EXPECT_EQ((*json)["pairs_per_second"], 15.0);
  EXPECT_EQ((*json)["accuracy"], 1.0);
  EXPECT_EQ((*json)["phenomena"]["p"]["pairs"], 1);
}

}  // namespace
}  // namespace dyad::client
