// Added tokens: leftmost, then longest; literal special tokens; single words; stripped blanks.
#include "server/text/added_tokens.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/server/text/tiny_tokenizer.h"

namespace dyad {
namespace {

using testing::MakeAdded;

// "text" for plain parts, "#id:text" for tokens.
std::vector<std::string> Parts(const AddedTokenMatcher& matcher, const std::string& text,
                               SpecialTokens special = SpecialTokens::kParse) {
  std::vector<std::string> shown;
  size_t position = 0;
  for (const TextPart& part : matcher.Split(text, special)) {
    EXPECT_EQ(part.begin, position);
    position = part.end;
    const std::string content = text.substr(part.begin, part.end - part.begin);
    shown.push_back(part.id.has_value() ? absl::StrCat("#", *part.id, ":", content) : content);
  }
  EXPECT_EQ(position, text.size());
  return shown;
}

using Strings = std::vector<std::string>;

TEST(AddedTokenMatcherTest, PlainTextIsOnePartAndAnEmptyTextNone) {
  const AddedTokenMatcher none({});
  EXPECT_EQ(Parts(none, "abc"), (Strings{"abc"}));
  EXPECT_EQ(Parts(none, ""), (Strings{}));
  EXPECT_EQ(Parts(AddedTokenMatcher({MakeAdded("<x>", 1)}), "<x"), (Strings{"<x"}));
}

TEST(AddedTokenMatcherTest, LeftmostThenLongestWins) {
  const AddedTokenMatcher matcher(
      {MakeAdded("ab", 1), MakeAdded("abcd", 2), MakeAdded("bcdef", 3), MakeAdded("c", 4)});
  EXPECT_EQ(Parts(matcher, "xabcdefab"), (Strings{"x", "#2:abcd", "ef", "#1:ab"}));
  EXPECT_EQ(Parts(matcher, "abcx"), (Strings{"#1:ab", "#4:c", "x"}));
  EXPECT_EQ(Parts(matcher, "bcdef"), (Strings{"#3:bcdef"}));
}

TEST(AddedTokenMatcherTest, RunsOfBlanksTakeTheLongestFirst) {
  const AddedTokenMatcher matcher({MakeAdded("    ", 4), MakeAdded("   ", 3), MakeAdded("  ", 2)});
  EXPECT_EQ(Parts(matcher, "a       b c"), (Strings{"a", "#4:    ", "#3:   ", "b c"}));
  EXPECT_EQ(Parts(matcher, "     "), (Strings{"#4:    ", " "}));
}

TEST(AddedTokenMatcherTest, LiteralSpecialTokensArePlainAndHideWhatTheyHold) {
  AddedToken special = MakeAdded("<a  b>", 1);
  special.special = true;
  const AddedTokenMatcher matcher({special, MakeAdded("  ", 2)});
  EXPECT_EQ(Parts(matcher, "  <a  b>  "), (Strings{"#2:  ", "#1:<a  b>", "#2:  "}));
  EXPECT_EQ(Parts(matcher, "  <a  b>  ", SpecialTokens::kLiteral),
            (Strings{"#2:  ", "<a  b>", "#2:  "}));
}

TEST(AddedTokenMatcherTest, SingleWordsNeedNoWordCharacterBesideThem) {
  AddedToken word = MakeAdded("cat", 1);
  word.single_word = true;
  const AddedTokenMatcher matcher({word});
  EXPECT_EQ(Parts(matcher, "cat, a cat"), (Strings{"#1:cat", ", a ", "#1:cat"}));
  for (const char* text : {"cats", "bobcat", "_cat", "cat9", "\u00e9cat", "cat\u0301"}) {
    EXPECT_EQ(Parts(matcher, text), (Strings{text}));
  }
}

TEST(AddedTokenMatcherTest, StrippingTakesBlanksOnItsSide) {
  AddedToken left = MakeAdded("<l>", 1);
  left.left_strip = true;
  AddedToken right = MakeAdded("<r>", 2);
  right.right_strip = true;
  const AddedTokenMatcher matcher({left, right});
  EXPECT_EQ(Parts(matcher, "a \n<l> b"), (Strings{"a", "#1: \n<l>", " b"}));
  EXPECT_EQ(Parts(matcher, "a <r>\u3000 b"), (Strings{"a ", "#2:<r>\u3000 ", "b"}));
  // Blanks between the two go to the first.
  EXPECT_EQ(Parts(matcher, "<r>  <l>"), (Strings{"#2:<r>  ", "#1:<l>"}));
  EXPECT_EQ(Parts(matcher, "  <l>"), (Strings{"#1:  <l>"}));
}

TEST(AddedTokenMatcherTest, ATokenInsideStrippedBlanksKeepsItsIdAndItsRest) {
  AddedToken right = MakeAdded("<r>", 2);
  right.right_strip = true;
  const AddedTokenMatcher matcher({right, MakeAdded("  ", 3)});
  EXPECT_EQ(Parts(matcher, "<r>  x"), (Strings{"#2:<r>  ", "#3:", "x"}));
}

TEST(AddedTokenMatcherTest, OfEqualTokensTheFirstCounts) {
  EXPECT_EQ(Parts(AddedTokenMatcher({MakeAdded("x", 1), MakeAdded("x", 2)}), "x"),
            (Strings{"#1:x"}));
}

}  // namespace
}  // namespace dyad
