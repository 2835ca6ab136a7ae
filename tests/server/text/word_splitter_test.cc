// The ByteLevel pattern: hand-made cases for each alternative, and random texts against the pattern
// run by a regular expression library (over ASCII, which is all that one knows).
#include "server/text/word_splitter.h"

#include <random>
#include <regex>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace dyad {
namespace {

std::vector<std::string> Words(const std::string& text) {
  std::vector<std::string> words;
  for (size_t start = 0; start < text.size();) {
    const size_t end = EndOfWord(text, start);
    EXPECT_GT(end, start);
    words.push_back(text.substr(start, end - start));
    start = end;
  }
  return words;
}

using Strings = std::vector<std::string>;

TEST(WordSplitterTest, ABlankGoesWithTheWordAfterIt) {
  EXPECT_EQ(Words("Hello world 42!"), (Strings{"Hello", " world", " 42", "!"}));
  EXPECT_EQ(Words(" a"), (Strings{" a"}));
  EXPECT_EQ(Words("a1b2"), (Strings{"a", "1", "b", "2"}));
  EXPECT_EQ(Words("x+=1;"), (Strings{"x", "+=", "1", ";"}));
}

TEST(WordSplitterTest, TheLastOfSeveralBlanksStandsApart) {
  EXPECT_EQ(Words("a   b"), (Strings{"a", "  ", " b"}));
  EXPECT_EQ(Words("a\n\nb"), (Strings{"a", "\n", "\n", "b"}));
  EXPECT_EQ(Words("a \n b"), (Strings{"a", " \n", " b"}));
  EXPECT_EQ(Words("a\tb"), (Strings{"a", "\t", "b"}));
  EXPECT_EQ(Words("a  "), (Strings{"a", "  "}));
  EXPECT_EQ(Words("   "), (Strings{"   "}));
  EXPECT_EQ(Words("a\u3000\u3000b"), (Strings{"a", "\u3000", "\u3000", "b"}));
}

TEST(WordSplitterTest, ContractionsStandApart) {
  EXPECT_EQ(Words("it's we'll they've I'm you're he'd don't"),
            (Strings{"it", "'s", " we", "'ll", " they", "'ve", " I", "'m", " you", "'re", " he",
                     "'d", " don", "'t"}));
  EXPECT_EQ(Words("'sun"), (Strings{"'s", "un"}));
  EXPECT_EQ(Words("'S 'l 'r' '"), (Strings{"'", "S", " '", "l", " '", "r", "'", " '"}));
  EXPECT_EQ(Words(" 's"), (Strings{" '", "s"}));
  EXPECT_EQ(Words("''s"), (Strings{"''", "s"}));
}

TEST(WordSplitterTest, OtherScriptsAndSymbolsRunTogetherByClass) {
  EXPECT_EQ(Words("\u4F60\u597D \u0661\u0662\u2014\U0001F600"),
            (Strings{"\u4F60\u597D", " \u0661\u0662", "\u2014\U0001F600"}));
  EXPECT_EQ(Words("e\u0301a"), (Strings{"e", "\u0301", "a"}));  // a mark is no letter
}

TEST(WordSplitterTest, AgreesWithThePatternOnRandomAsciiTexts) {
  const std::regex pattern(
      "'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\\sA-Za-z0-9]+|\\s+(?!\\S)|\\s+");
  const std::string alphabet = "   \n\t''aslvetrdm09.-";
  std::mt19937 random(7);
  for (int i = 0; i < 4000; ++i) {
    std::string text(random() % 24, ' ');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    Strings expected;
    for (std::sregex_iterator match(text.begin(), text.end(), pattern), end; match != end;
         ++match) {
      expected.push_back(match->str());
    }
    ASSERT_EQ(Words(text), expected) << text;
  }
}

}  // namespace
}  // namespace dyad
