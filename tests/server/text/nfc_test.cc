// NFC: known compositions, order of marks, and that a long run of marks takes no quadratic time.
#include "server/text/nfc.h"

#include <random>
#include <string>

#include "gtest/gtest.h"

namespace dyad {
namespace {

TEST(NfcTest, TextsThatCannotChangeAreLeft) {
  EXPECT_EQ(ToNfc(""), std::nullopt);
  EXPECT_EQ(ToNfc("plain ASCII"), std::nullopt);
  EXPECT_EQ(ToNfc("caf\u00e9 \u02BF"), std::nullopt);
}

TEST(NfcTest, ComposesAndExcludes) {
  EXPECT_EQ(ToNfc("e\u0301"), "\u00e9");
  EXPECT_EQ(ToNfc("A\u030A \u212B"), "\u00C5 \u00C5");
  EXPECT_EQ(ToNfc("\u1100\u1161\u11A8"), "\uAC01");  // Hangul from its letters
  EXPECT_EQ(ToNfc("\u0958"), "\u0915\u093C");        // a composition exclusion
  EXPECT_EQ(ToNfc("\u2126"), "\u03A9");              // a singleton
  EXPECT_EQ(ToNfc("\uFB01"), "\uFB01");              // compatibility only: stays
  EXPECT_EQ(ToNfc(std::string("a\0\u0301", 4)), std::string("a\0\u0301", 4));  // NUL is no end
}

TEST(NfcTest, MarksAreOrderedByClassAndKeepTheirOrderWithin) {
  EXPECT_EQ(ToNfc("q\u0307\u0323"), "q\u0323\u0307");
  EXPECT_EQ(ToNfc("a\u0323\u0307"), ToNfc("a\u0307\u0323"));
  EXPECT_EQ(ToNfc("q\u0301\u0300"), "q\u0301\u0300");
}

TEST(NfcTest, IsIdempotent) {
  std::mt19937 random(11);
  const std::string parts[] = {"a",      "e",      "\u0301", "\u0323",    "\u0307",
                               "\u1100", "\u1161", "\u11A8", "\u0915",    "\u093C",
                               "\u212B", " ",      "\u00e9", "\U0001D15E"};
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (int n = 0; n < 8; ++n) text += parts[random() % std::size(parts)];
    const std::string once = ToNfc(text).value_or(text);
    ASSERT_EQ(ToNfc(once).value_or(once), once);
  }
}

// 200,000 marks in the worst order: by neighbour swaps this would be 10^10 steps.
TEST(NfcTest, ALongRunOfMarksIsSorted) {
  constexpr int kMarks = 100000;
  std::string text = "q";
  for (int i = 0; i < kMarks; ++i) text += "\u0307";
  for (int i = 0; i < kMarks; ++i) text += "\u0323";
  const std::string normal = ToNfc(text).value_or("");
  ASSERT_EQ(normal.size(), text.size());
  EXPECT_EQ(normal.substr(1, 2), "\u0323");
  EXPECT_EQ(normal.substr(normal.size() - 2), "\u0307");
}

}  // namespace
}  // namespace dyad
