// The progress line as a function of the state, and when it is drawn.
#include "server/base/progress.h"

#include <sstream>

#include "gtest/gtest.h"

namespace dyad {
namespace {

TEST(ProgressTest, ShowsBarRateAndTimeLeft) {
  EXPECT_EQ(FormatProgress({.unit = "pairs",
                            .done = 16750,
                            .skipped = 0,
                            .total = 67000,
                            .elapsed = absl::Seconds(20)}),
            "16750/67000 pairs [======                  ]  25.0 %  837.5 pairs/s  ETA 1:00");
}

TEST(ProgressTest, SkippedOnesDoNotCountForTheRate) {
  EXPECT_EQ(
      FormatProgress(
          {.unit = "lines", .done = 60, .skipped = 50, .total = 100, .elapsed = absl::Seconds(5)}),
      "60/100 lines [==============          ]  60.0 %  2.0 lines/s  ETA 0:20");
}

TEST(ProgressTest, WithoutATotalThereIsNoBar) {
  EXPECT_EQ(FormatProgress({.unit = "lines",
                            .done = 30,
                            .skipped = 0,
                            .total = std::nullopt,
                            .elapsed = absl::Seconds(3)}),
            "30 lines  10.0 lines/s");
}

TEST(ProgressTest, TheFirstMomentAndAnEmptyInputDivideByNothing) {
  EXPECT_EQ(FormatProgress({.unit = "lines", .done = 0, .skipped = 0, .total = 0, .elapsed = {}}),
            "0/0 lines [                        ]   0.0 %  0.0 lines/s");
}

TEST(ProgressTest, TheEndIsAFullBar) {
  const std::string line = FormatProgress(
      {.unit = "lines", .done = 3, .skipped = 0, .total = 3, .elapsed = absl::Seconds(1)});
  EXPECT_EQ(line, "3/3 lines [========================] 100.0 %  3.0 lines/s  ETA 0:00");
}

TEST(ProgressTest, DurationsCarryIntoMinutesAndHours) {
  EXPECT_EQ(MinutesAndSeconds(absl::Milliseconds(400)), "0:00");
  EXPECT_EQ(MinutesAndSeconds(absl::Milliseconds(59600)), "1:00");
  EXPECT_EQ(MinutesAndSeconds(absl::Seconds(723)), "12:03");
  EXPECT_EQ(MinutesAndSeconds(absl::Seconds(3723)), "1:02:03");
}

TEST(ProgressTest, DrawsNothingIntoAFile) {
  std::ostringstream out;
  {
    Progress progress(out, Screen::kOther,
                      {.unit = "lines", .done = 0, .skipped = 0, .total = 2, .elapsed = {}});
    progress.Add(2);
    EXPECT_EQ(progress.State().done, 2);
  }
  EXPECT_EQ(out.str(), "");
}

TEST(ProgressTest, EndsItsLineOnATerminal) {
  std::ostringstream out;
  {
    Progress progress(out, Screen::kTerminal,
                      {.unit = "lines", .done = 0, .skipped = 1, .total = 3, .elapsed = {}});
    progress.Add(2);
  }
  EXPECT_EQ(out.str().front(), '\r');
  EXPECT_EQ(out.str().back(), '\n');
  EXPECT_NE(out.str().find("3/3 lines"), std::string::npos);
}

}  // namespace
}  // namespace dyad
