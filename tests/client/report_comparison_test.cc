// Two runs on a page.
#include "client/report_comparison.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/report_files.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::PairLine;
using testing::RunHeaderLine;

class ReportComparisonTest : public ::testing::Test {
 protected:
  std::string Compared(const std::string& a, const std::string& b) {
    const TaskReport first = *ReadTaskReport(folder_.Write("a", a), ""),
                     second = *ReadTaskReport(folder_.Write("b", b), "");
    const auto html = ComparisonHtml(first, second);
    EXPECT_OK(html);
    return *html;
  }
  testing::TemporaryFolder folder_;
};

TEST_F(ReportComparisonTest, RowsAndChangedItems) {
  const std::string html = Compared(
      RunHeaderLine("blimp") + PairLine("<u>", "p", 1) + PairLine("v", "p", 1),
      RunHeaderLine("blimp", "s", "LM_EVAL") + PairLine("<u>", "p", -2) + PairLine("v", "p", 1));
  EXPECT_THAT(html, HasSubstr("Second: <bdi>demo, LM_EVAL, run 0123456789ab</bdi>"));
  EXPECT_THAT(html, HasSubstr("<title>&lt;u&gt;: 1.0000, then 0.0000</title>"));
  EXPECT_THAT(html, HasSubstr("-1.0000 to -1.0000"));
  EXPECT_THAT(html, HasSubstr("Items whose score changed, 1 of 1"));
  EXPECT_THAT(html, HasSubstr("+1.0000, then -2.0000"));
  EXPECT_THAT(html, HasSubstr("good: <bdi>good &lt;u&gt;</bdi><br>bad: <bdi>bad &lt;u&gt;</bdi>"));
}

TEST_F(ReportComparisonTest, WhatDoesNotCompareSaysWhy) {
  const std::string pair = PairLine("u", "p", 1);
  EXPECT_THAT(
      Compared(RunHeaderLine("blimp") + pair, RunHeaderLine("blimp", "t") + pair),
      HasSubstr("They are not compared: the runs are not over the same items: input.sha256"));
  EXPECT_THAT(Compared(RunHeaderLine("blimp") + pair, RunHeaderLine("blimp") + pair),
              HasSubstr("No item changed its score."));
}

}  // namespace
}  // namespace dyad::client
