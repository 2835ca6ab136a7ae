// What may stand on a page.
#include "client/html.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dyad::client {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(ItemsTest, OneIsSingular) {
  EXPECT_EQ(Items(0), "0 items");
  EXPECT_EQ(Items(1), "1 item");
  EXPECT_EQ(Items(67'000), "67,000 items");
}

TEST(HtmlTest, NothingOfATextIsMarkup) {
  EXPECT_EQ(Escaped("<script>alert('1')&\"</script>"),
            "&lt;script&gt;alert(&#39;1&#39;)&amp;&quot;&lt;/script&gt;");
  EXPECT_EQ(Escaped("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(Escaped(std::string("\0\x1b\x7f\xc2\x85\xff", 6)),
            "��"
            "��"
            "�");
  EXPECT_EQ(Escaped("שלום — naïve 猫"), "שלום — naïve 猫");
  // A mark that turns the direction around stays inside.
  EXPECT_EQ(Isolated("a\u202e<b"), "<bdi>a\u202e&lt;b</bdi>");
}

TEST(HtmlTest, LongTextsAreCutBetweenCharacters) {
  const std::string ten_kilobytes(10'000, 'x');
  EXPECT_EQ(Escaped(ten_kilobytes), ten_kilobytes);
  std::string long_text = "x";
  for (size_t i = 0; i < kMaxTextOnPage; ++i) long_text += "é";
  const std::string escaped = Escaped(long_text);
  EXPECT_THAT(escaped, EndsWith("é … (cut: 32769 bytes in all)"));
  EXPECT_THAT(escaped, Not(HasSubstr("�")));
  EXPECT_LT(escaped.size(), kMaxTextOnPage + 64);
}

TEST(HtmlTest, NumbersAreGrouped) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1000), "1,000");
  EXPECT_EQ(Grouped(-1234567), "-1,234,567");
}

TEST(HtmlTest, APValueIsNeverNothing) {
  EXPECT_EQ(PText(1), "1.0000");
  EXPECT_EQ(PText(0.0432), "0.0432");
  EXPECT_EQ(PText(0.0001), "0.0001");
  EXPECT_EQ(PText(0.00009), "< 0.0001");
}

TEST(HtmlTest, ATableNamesItsCells) {
  const std::string html =
      TableHtml({"A & B", {{"row"}, {"n", true}}, {{"<b>x</b>", "1"}, {"y", "2", "too many"}}});
  EXPECT_THAT(html,
              StartsWith("<table><caption>A &amp; B</caption><thead><tr><th scope=\"col\">row"));
  EXPECT_THAT(html, HasSubstr("<tr><th scope=\"row\"><b>x</b></th><td class=\"n\" "
                              "data-title=\"n\">1</td></tr>"));
  EXPECT_THAT(html, Not(HasSubstr("too many")));
  EXPECT_THAT(TableHtml({"", {{"a"}, {"b"}, {"c"}, {"d"}}, {}}),
              StartsWith("<table class=\"stacks\"><thead>"));
  EXPECT_THAT(TableHtml({"", {{"a", true}, {"b", true}}, {}}),
              StartsWith("<table class=\"narrow\"><thead>"));
}

}  // namespace
}  // namespace dyad::client
