// The ByteLevel pattern: hand-made cases for each alternative, and random ASCII texts against the
// pattern tried alternative by alternative, with its backing up.
#include "server/text/word_splitter.h"

#include <cctype>
#include <cstring>
#include <functional>
#include <random>
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

// How far the pattern reaches from `start`, alternative by alternative as it is written, with the
// backing up that a regular expression does.
size_t SlowEnd(const std::string& text, size_t start) {
  const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  const auto is_letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  const auto is_digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  const auto is_other = [&](char c) { return !is_space(c) && !is_letter(c) && !is_digit(c); };
  const auto run = [&](size_t from, const auto& is) {
    size_t end = from;
    while (end < text.size() && is(text[end])) ++end;
    return end;
  };
  for (const char* contraction : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.substr(start).starts_with(contraction)) return start + strlen(contraction);
  }
  for (const std::function<bool(char)>& is :
       {std::function<bool(char)>(is_letter), std::function<bool(char)>(is_digit),
        std::function<bool(char)>(is_other)}) {
    const size_t from = text[start] == ' ' ? start + 1 : start;
    if (const size_t end = run(from, is); end > from) return end;
  }
  const size_t longest = run(start, is_space);
  for (size_t end = longest; end > start; --end) {
    if (end == text.size() || is_space(text[end])) return end;
  }
  return longest;
}

TEST(WordSplitterTest, AgreesWithThePatternOnRandomAsciiTexts) {
  const std::string alphabet = "   \n\t''aslvetrdm09.-";
  std::mt19937 random(7);
  for (int i = 0; i < 4000; ++i) {
    std::string text(random() % 24, ' ');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    for (size_t start = 0; start < text.size(); start = EndOfWord(text, start)) {
      ASSERT_EQ(EndOfWord(text, start), SlowEnd(text, start)) << text << " from " << start;
    }
  }
}

}  // namespace
}  // namespace dyad
