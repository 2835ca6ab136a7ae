// Classes of code points: edges of ranges, ASCII in full, and the odd ones that libraries disagree
// on.
#include "server/text/character_class.h"

#include <cctype>
#include <vector>

#include "gtest/gtest.h"
#include "server/text/character_ranges.h"

namespace dyad {
namespace {

TEST(CharacterClassTest, AsciiIsAsTheCLibraryHasIt) {
  for (int c = 0; c < 128; ++c) {
    const CharacterClass expected = std::isalpha(c)   ? CharacterClass::kLetter
                                    : std::isdigit(c) ? CharacterClass::kNumber
                                    : std::isspace(c) ? CharacterClass::kSpace
                                                      : CharacterClass::kOther;
    EXPECT_EQ(ClassOf(static_cast<char32_t>(c)), expected) << c;
  }
}

TEST(CharacterClassTest, EveryRangeIsUnfoldedAndNothingElse) {
  size_t expected[3] = {};
  const auto check = [](const auto& ranges, CharacterClass wanted, size_t& count) {
    uint32_t next = 0;
    for (const auto [first, last] : ranges) {
      ASSERT_LE(next, first);  // ascending, disjoint
      ASSERT_LE(first, last);
      for (uint32_t c = first; c <= last; ++c) ASSERT_EQ(ClassOf(c), wanted) << c;
      count += last - first + 1;
      next = last + 1;
    }
  };
  check(kLetters, CharacterClass::kLetter, expected[0]);
  check(kNumbers, CharacterClass::kNumber, expected[1]);
  check(kSpaces, CharacterClass::kSpace, expected[2]);
  EXPECT_EQ(expected[2], 25u);  // White_Space
  size_t found[4] = {};
  for (char32_t c = 0; c < 0x110000; ++c) ++found[static_cast<int>(ClassOf(c))];
  EXPECT_EQ(found[static_cast<int>(CharacterClass::kLetter)], expected[0]);
  EXPECT_EQ(found[static_cast<int>(CharacterClass::kNumber)], expected[1]);
  EXPECT_EQ(found[static_cast<int>(CharacterClass::kSpace)], expected[2]);
}

TEST(CharacterClassTest, OddOnesAreAsTheReferenceHasThem) {
  EXPECT_EQ(ClassOf(0x85), CharacterClass::kSpace);
  EXPECT_EQ(ClassOf(0x3000), CharacterClass::kSpace);
  for (const char32_t c : {0x200B, 0x180E, 0xFEFF}) EXPECT_EQ(ClassOf(c), CharacterClass::kOther);
  EXPECT_EQ(ClassOf(0x00B2), CharacterClass::kNumber);   // superscript two
  EXPECT_EQ(ClassOf(0x2167), CharacterClass::kNumber);   // Roman eight
  EXPECT_EQ(ClassOf(0x0301), CharacterClass::kOther);    // combining acute
  EXPECT_EQ(ClassOf(0x4E2D), CharacterClass::kLetter);   // a Han character
  EXPECT_EQ(ClassOf(0x20000), CharacterClass::kLetter);  // one beyond the first plane
  EXPECT_EQ(ClassOf(0x110000), CharacterClass::kOther);
  EXPECT_EQ(ClassOf(0xFFFFFFFF), CharacterClass::kOther);
}

TEST(CharacterClassTest, WordCharactersHoldMarksDigitsAndConnectors) {
  for (const char32_t c :
       {U'a', U'_', U'7', U'\u0301', U'\u203F', U'\u200D', U'\u24B6', U'\u4E2D'}) {
    EXPECT_TRUE(IsWordCharacter(c)) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {U' ', U'-', U'\'', U'.', U'\u00B2', U'\U0001F600', U'\n'}) {
    EXPECT_FALSE(IsWordCharacter(c)) << static_cast<uint32_t>(c);
  }
}

TEST(CharacterClassTest, PythonsWhiteSpaceIsThoseCharactersAndNoOthers) {
  std::vector<char32_t> found;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (IsPythonSpace(c)) found.push_back(c);
  }
  EXPECT_EQ(found,
            (std::vector<char32_t>{0x09,   0x0A,   0x0B,   0x0C,   0x0D,   0x1C,   0x1D,   0x1E,
                                   0x1F,   0x20,   0x85,   0xA0,   0x1680, 0x2000, 0x2001, 0x2002,
                                   0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200A,
                                   0x2028, 0x2029, 0x202F, 0x205F, 0x3000}));
}

}  // namespace
}  // namespace dyad
