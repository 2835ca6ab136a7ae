// Where marks and bars stand.
#include "client/svg_chart.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(SvgChartTest, DotsStandOnAnAxisFromNullToOne) {
  const std::string html =
      DotChart("T <", {{"<row>", 0.5, {{0, 0, Interval{0, 0.25}, "a \"0\""}, {-1, 1, {}, "b"}}}});
  EXPECT_THAT(html, HasSubstr("<figcaption>T &lt;</figcaption>"));
  EXPECT_THAT(html, HasSubstr("<span><bdi>&lt;row&gt;</bdi></span>"));
  EXPECT_THAT(html,
              HasSubstr("<title>a &quot;0&quot;</title>"
                        "<line class=\"s0\" x1=\"2.00%\" y1=\"8\" x2=\"26.00%\" y2=\"8\"/>"
                        "<svg x=\"2.00%\" y=\"8\" overflow=\"visible\"><circle class=\"s0\""));
  EXPECT_THAT(html,
              HasSubstr("<line class=\"chance\" x1=\"50.00%\" y1=\"0\" x2=\"50.00%\" y2=\"32\"/>"));
  EXPECT_THAT(html,
              HasSubstr("<svg x=\"98.00%\" y=\"24\" overflow=\"visible\"><path class=\"base\""));
  EXPECT_THAT(DotChart("", {{"r", {}, {}}}), Not(HasSubstr("chance")));
}

TEST(SvgChartTest, AGroupHasOneHeading) {
  const std::string html =
      DotChart("", {{"a", {}, {}, "<x>"}, {"b", {}, {}, "<x>"}, {"c", {}, {}, "y"}});
  const std::string heading = "<div class=\"dot group\"><span><bdi>";
  const size_t x = html.find(heading + "&lt;x&gt;</bdi>"), y = html.find(heading + "y</bdi>");
  ASSERT_NE(x, std::string::npos);
  EXPECT_LT(x, html.find("<bdi>a<"));
  EXPECT_LT(html.find("<bdi>b<"), y);
  EXPECT_LT(y, html.find("<bdi>c<"));
  EXPECT_EQ(html.find(heading, x + 1), y);
  EXPECT_THAT(DotChart("", {{"r", {}, {}}}), Not(HasSubstr("group")));
}

TEST(SvgChartTest, TiesHaveABarOfTheirOwn) {
  const MarginHistogram histogram = HistogramOf({0, -0.0, 1, 23.9, -1, -0.5, 1000});
  EXPECT_EQ(histogram.ties, 2);
  int64_t below = 0, above = 0;
  for (const MarginBin& bin : histogram.bins) (bin.high <= 0 ? below : above) += bin.items;
  EXPECT_EQ(below, 2);
  EXPECT_EQ(above, 3);  // what is far beyond stands in the last one
  EXPECT_EQ(histogram.bins.back().items, 2);
  EXPECT_LE(histogram.bins.size(), 48u);
  EXPECT_EQ(histogram.bins.front().low, -histogram.bins.back().high);
  const std::string html = HistogramChart("M", histogram);
  EXPECT_THAT(html, HasSubstr("<rect class=\"tie\""));
  EXPECT_THAT(html, HasSubstr("<title>ties: 2 items</title>"));
  EXPECT_THAT(html, HasSubstr(">0 (2 ties)</text>"));
  EXPECT_THAT(HistogramChart("M", HistogramOf({1, -1})), HasSubstr(">0</text>"));
  EXPECT_THAT(HistogramChart("M", HistogramOf({1, 0})), HasSubstr(">0 (1 tie)</text>"));
}

TEST(SvgChartTest, WithoutMarginsThereAreNoBins) {
  EXPECT_TRUE(HistogramOf({}).bins.empty());
  const MarginHistogram ties = HistogramOf({0, 0});
  EXPECT_TRUE(ties.bins.empty());
  EXPECT_EQ(ties.ties, 2);
  EXPECT_THAT(HistogramChart("", ties), HasSubstr("width=\"88.000%\""));
  // One bin each side where all are alike.
  EXPECT_EQ(HistogramOf({1, 1}).bins.back().items, 2);
}

TEST(SvgChartTest, AScatterHasItsPointsAndNames) {
  const std::string html = ScatterChart("S", "x<", "y", {{0, 1, "p & q"}, {1, 0, ""}});
  EXPECT_THAT(html, HasSubstr("cx=\"34.00\" cy=\"8.00\" r=\"3.5\"><title>p &amp; q</title>"));
  EXPECT_THAT(html, HasSubstr("cx=\"314.00\" cy=\"288.00\""));
  EXPECT_THAT(html, HasSubstr(">x&lt;</text>"));
}

}  // namespace
}  // namespace dyad::client
