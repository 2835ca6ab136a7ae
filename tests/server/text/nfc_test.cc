// NFC: Unicode's own test file, Python's answers for random texts, known compositions, order of
// marks, and that a long run of marks takes no quadratic time.
#include "server/text/nfc.h"

#include <cstdio>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "server/text/utf8.h"

namespace dyad {
namespace {

std::string Normal(const std::string& text) { return ToNfc(text).value_or(text); }

struct Case {
  std::string text;
  std::string nfc;
};

// What a Python program prints: a text and its NFC on each line, as hexadecimal digits of UTF-8.
std::vector<Case> CasesFrom(const std::string& program) {
  std::vector<Case> cases;
  FILE* pipe = popen(absl::StrCat("/usr/bin/python3 -c '", program, "'").c_str(), "r");
  if (pipe == nullptr) return cases;
  char line[8192];
  while (std::fgets(line, sizeof line, pipe) != nullptr) {
    const std::vector<std::string> hex = absl::StrSplit(line, absl::ByAnyChar(" \n"));
    cases.push_back({absl::HexStringToBytes(hex[0]), absl::HexStringToBytes(hex[1])});
  }
  EXPECT_EQ(pclose(pipe), 0);
  return cases;
}

// All five columns, and what the file says of characters that it does not list: they stay.
TEST(NfcTest, UnicodesOwnTestFile) {
  const std::vector<Case> cases = CasesFrom(R"(
import bz2, re
for line in bz2.open("/usr/share/unicode/NormalizationTest.txt.bz2", "rt", encoding="utf-8"):
    if not re.match("[0-9A-F]", line): continue
    c = ["".join(chr(int(x, 16)) for x in column.split()) for column in line.split(";")[:5]]
    for text, nfc in ((0, 1), (1, 1), (2, 1), (3, 3), (4, 3)):
        print(c[text].encode().hex(), c[nfc].encode().hex())
)");
  ASSERT_GT(cases.size(), 5 * 18000U) << "needs the package unicode-data";
  std::set<std::string> listed;
  for (const auto& [text, nfc] : cases) {
    EXPECT_EQ(absl::BytesToHexString(Normal(text)), absl::BytesToHexString(nfc))
        << "of " << absl::BytesToHexString(text);
    listed.insert(text);
  }
  for (uint32_t code_point = 0; code_point <= 0x10FFFF; ++code_point) {
    if (code_point >= 0xD800 && code_point <= 0xDFFF) continue;
    const std::string text = EncodeUtf8(code_point);
    if (listed.contains(text)) continue;
    ASSERT_EQ(Normal(text), text) << code_point;
  }
}

// Trailing consonants begin at U+11A8. The test file has no line for what stands before them.
TEST(NfcTest, U11A7IsNoTrailingConsonant) {
  for (uint32_t leading = 0x1100; leading <= 0x1112; ++leading) {
    for (uint32_t vowel = 0x1161; vowel <= 0x1175; ++vowel) {
      const std::string syllable =
          EncodeUtf8(0xAC00 + ((leading - 0x1100) * 21 + (vowel - 0x1161)) * 28);
      const std::string letters = EncodeUtf8(leading) + EncodeUtf8(vowel);
      for (const std::string& begin : {syllable, letters}) {
        EXPECT_EQ(Normal(begin + "\u11A7"), syllable + "\u11A7");
        EXPECT_EQ(Normal(begin + "\u11A7\u11A8"), syllable + "\u11A7\u11A8");
        EXPECT_EQ(Normal(begin + "\u11C3"), syllable + "\u11C3");
      }
    }
  }
  EXPECT_EQ(Normal("\u11A7\u0301\u1100\u1161"), "\u11A7\u0301\uAC00");
  EXPECT_EQ(Normal("\u11A7"), "\u11A7");
}

// Python's tables may be older: its texts hold only characters that it knows.
TEST(NfcTest, RandomTextsAsPython) {
  const std::vector<Case> cases = CasesFrom(R"(
import random, unicodedata as u
r = random.Random(5)
change = [c for c in map(chr, range(0x300, 0x110000)) if not 0xAC00 <= ord(c) < 0xE000 and u.category(c) != "Cn"
          and (u.normalize("NFD", c) != c or u.combining(c))]
every = [c for c in map(chr, range(0x110000)) if u.category(c) not in ("Cn", "Cs")]
hangul = [chr(c) for c in (*range(0x1100, 0x1200), *range(0xAC00, 0xAC20))]
for _ in range(20000):
    t = "".join(r.choice(r.choice((change, every, hangul, hangul, "aeiou"))) for _ in range(r.randint(1, 12)))
    print(t.encode().hex(), u.normalize("NFC", t).encode().hex())
)");
  ASSERT_EQ(cases.size(), 20000U);
  for (const auto& [text, nfc] : cases) {
    ASSERT_EQ(absl::BytesToHexString(Normal(text)), absl::BytesToHexString(nfc))
        << "of " << absl::BytesToHexString(text);
  }
}

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
