// Words and their tokens by hand, on random texts against a plain definition, and the corrections
// against their formulas written out.
#include "server/api/words.h"

#include <cmath>
#include <random>
#include <string>

#include "server/text/utf8.h"
#include "tests/server/api/api_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;

std::vector<std::string> Texts(const std::string& text, v1::WordSplit split) {
  std::vector<std::string> words;
  for (const ByteSpan& word : SplitWords(text, split)) {
    words.push_back(
        text.substr(static_cast<size_t>(word.begin), static_cast<size_t>(word.end - word.begin)));
  }
  return words;
}

TEST(SplitWordsTest, WhiteSpaceIsUnicodes) {
  EXPECT_THAT(Texts("  The cat\u00A0sat,\u3000on\u2028it.\n", v1::WORD_SPLIT_WHITESPACE),
              ElementsAre("The", "cat", "sat,", "on", "it."));
  EXPECT_THAT(Texts("a\x1C"
                    "b\u200B",
                    v1::WORD_SPLIT_WHITESPACE),
              ElementsAre("a\x1C"
                          "b\u200B"));
  EXPECT_THAT(Texts("", v1::WORD_SPLIT_WHITESPACE), ElementsAre());
  EXPECT_THAT(Texts(" \t", v1::WORD_SPLIT_WHITESPACE), ElementsAre());
}

// Python: re.findall(r"[\w']+|[.,!?;]|[^\s\w'.,!?;]+", text)
TEST(SplitWordsTest, PunctuationIsAsThePatternHasIt) {
  EXPECT_THAT(
      Texts("Don't go -- he said...\u00ABnon\u00BB", v1::WORD_SPLIT_PUNCTUATION),
      ElementsAre("Don't", "go", "--", "he", "said", ".", ".", ".", "\u00AB", "non", "\u00BB"));
  EXPECT_THAT(Texts("a_1\u00B2\u0E01\u0301(x)!?", v1::WORD_SPLIT_PUNCTUATION),
              ElementsAre("a_1\u00B2\u0E01", "\u0301(", "x", ")", "!", "?"));
  EXPECT_THAT(Texts("a\x1C"
                    "b",
                    v1::WORD_SPLIT_PUNCTUATION),
              ElementsAre("a", "b"));
}

// Tokens as texts, laid one after the other; "^" in front is one that is not in the text.
struct Tokens {
  explicit Tokens(const std::vector<std::string>& tokens) {
    for (const std::string& token : tokens) {
      offsets.push_back(static_cast<int32_t>(text.size()));
      if (token != "^") text += token;
    }
  }
  FedText fed(int32_t own_begin) const { return {text, offsets, own_begin}; }

  std::string text;
  std::vector<int32_t> offsets;
};

void ExpectSpan(const TokenSpan& span, ByteSpan bytes, int32_t first, int32_t tokens,
                int32_t shared) {
  EXPECT_EQ(span.bytes.begin, bytes.begin);
  EXPECT_EQ(span.bytes.end, bytes.end);
  EXPECT_EQ(span.tokens, tokens);
  if (tokens > 0) {
    EXPECT_EQ(span.first_token, first);
  }
  EXPECT_EQ(span.shared_tokens, shared);
}

TEST(WordsOfTest, ATokenBelongsWhereItsFirstByteThatIsNotBlankLies) {
  const Tokens tokens({"^", " The", " c", "at", "  ", " sat\non", " it"});
  const auto words = WordsOf(tokens.fed(1), v1::WORD_SPLIT_WHITESPACE);
  ASSERT_EQ(words.size(), 5u);
  ExpectSpan(words[0], {0, 3}, 1, 1, 0);
  ExpectSpan(words[1], {4, 7}, 2, 2, 0);
  ExpectSpan(words[2], {10, 13}, 5, 1, 1);  // " sat\non" reaches into the next
  ExpectSpan(words[3], {14, 16}, 0, 0, 0);
  ExpectSpan(words[4], {17, 19}, 6, 1, 0);
}

TEST(WordsOfTest, TheContextHasNoWordsAndKeepsItsTokens) {
  const Tokens tokens({"x", " t", "he", " cat"});
  const auto words = WordsOf(tokens.fed(3), v1::WORD_SPLIT_WHITESPACE);  // "x t" + "he cat"
  ASSERT_EQ(words.size(), 2u);
  ExpectSpan(words[0], {0, 2}, 2, 1, 0);
  ExpectSpan(words[1], {3, 6}, 3, 1, 0);
  const Tokens crossing({"x", " the", " cat"});
  ExpectSpan(WordsOf(crossing.fed(3), v1::WORD_SPLIT_WHITESPACE)[0], {0, 2}, 0, 0, 0);
}

TEST(RegionsOfTest, CountTokensThatBeginInThemAndSayWhichReachBeyond) {
  const Tokens tokens({" The", " cat", "  ", " sat"});
  const std::vector<ByteSpan> regions = {{0, 7}, {4, 6}, {7, 9}, {5, 7}, {9, 13}, {0, 3}};
  const auto spans = RegionsOf(tokens.fed(1), regions);
  ExpectSpan(spans[0], {0, 7}, 0, 2, 0);
  ExpectSpan(spans[1], {4, 6}, 1, 1, 1);
  ExpectSpan(spans[2], {7, 9}, 2, 1, 0);  // the blanks themselves
  ExpectSpan(spans[3], {5, 7}, 0, 0, 0);
  ExpectSpan(spans[4], {9, 13}, 3, 1, 0);
  ExpectSpan(spans[5], {0, 3}, 0, 1, 0);
}

TEST(TokensOverTest, TakesEveryTokenThatOverlaps) {
  const Tokens tokens({"^", " The", " cat", " sat"});
  ExpectSpan(TokensOver(tokens.fed(1), {4, 5}), {4, 5}, 2, 1, 1);
  ExpectSpan(TokensOver(tokens.fed(1), {2, 5}), {2, 5}, 1, 2, 1);
  ExpectSpan(TokensOver(tokens.fed(1), {0, 11}), {0, 11}, 1, 3, 0);
}

// Random tokens over random texts: each word's tokens by the definition, one by one.
TEST(WordsOfTest, EqualsThePlainDefinitionOnRandomTexts) {
  std::mt19937 random(7);
  const std::vector<std::string> pieces = {"a", "b", " ", "\n", "\u00E9", "\u3000", "."};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) text += pieces[random() % pieces.size()];
    std::vector<int32_t> offsets = {0};
    for (int32_t at = 1; at < std::ssize(text); ++at) {
      if (random() % 2 == 0) offsets.push_back(at);
    }
    const FedText fed = {text, offsets, 0};
    const auto is_blank = [&](int32_t at) {
      auto begin = static_cast<size_t>(at);
      while ((static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
      const std::string_view rest = std::string_view(text).substr(begin);
      return rest[0] == ' ' || rest[0] == '\n' || rest.starts_with("\u3000");
    };
    const auto words = WordsOf(fed, v1::WORD_SPLIT_WHITESPACE);
    int32_t counted = 0;
    for (const TokenSpan& word : words) {
      std::vector<int32_t> expected;
      for (int32_t t = 0; t < std::ssize(offsets); ++t) {
        int32_t head = offsets[static_cast<size_t>(t)];
        const int32_t end = t + 1 < std::ssize(offsets) ? offsets[static_cast<size_t>(t) + 1]
                                                        : static_cast<int32_t>(text.size());
        while (head < end && is_blank(head)) ++head;
        if (head < end && head >= word.bytes.begin && head < word.bytes.end) expected.push_back(t);
      }
      ASSERT_EQ(word.tokens, std::ssize(expected)) << text;
      if (!expected.empty()) {
        ASSERT_EQ(word.first_token, expected.front());
        ASSERT_EQ(word.first_token + word.tokens - 1, expected.back());
      }
      counted += word.tokens;
    }
    ASSERT_LE(counted, std::ssize(offsets));
  }
}

TEST(WordIdSetsTest, TellWordsEndsAndTheRestApart) {
  const ByteTokenizer tokenizer;
  const auto sets = WordIdSets(tokenizer, kEnd, kByteVocabulary + 3);
  ASSERT_EQ(sets.size(), static_cast<size_t>(kByteVocabulary) + 3);
  EXPECT_EQ(sets[kSpaceThe], kBeginsWord | kBeginsWordOrEnds);
  EXPECT_EQ(sets[' '], kBeginsWord | kBeginsWordOrEnds);
  EXPECT_EQ(sets[kThe], kContinuesWord);
  EXPECT_EQ(sets[kEnd], kContinuesWord | kBeginsWordOrEnds);
  EXPECT_EQ(sets[kByteVocabulary], 0) << "no id of the tokenizer";
  EXPECT_TRUE(WordIdSets(tokenizer, kEnd, 10).empty()) << "without blank";
}

// "The cat." after </s>: The | " c" "at" | "." with masses made up.
class CorrectionTest : public ::testing::Test {
 protected:
  const ByteTokenizer tokenizer_ = {};
  const std::vector<uint8_t> sets_ = WordIdSets(tokenizer_, kEnd, kByteVocabulary);
  const std::vector<int32_t> ids_ = {kEnd, kThe, kSpaceA, 't', '.'};
  WordPlan plan_ = {v1::WORD_CORRECTION_NONE,
                    {{{0, 3}, 1, 1, 0}, {{4, 6}, 2, 2, 0}, {{6, 7}, 4, 1, 0}, {{8, 9}, 0, 0, 0}},
                    {{{0, 7}, 1, 4, 0}, {{4, 7}, 2, 3, 0}}};
  const std::vector<engine::TokenScore> scores_ = {{-1, 1, {}, -0.5},
                                                   {-2, 1, {}, -0.25},
                                                   {-3, 1, {}, -7},
                                                   {-4, 1, {}, -0.125},
                                                   {0, 1, {}, -0.0625}};
  double Logprob(const TokenSpan& span) const {
    const ScoredRun run = {ids_, sets_, 1, 5, scores_};
    const v1::SpanScore score = ToSpanScore(plan_, span, run);
    EXPECT_EQ(score.begin(), span.bytes.begin);
    EXPECT_EQ(score.tokens(), span.tokens);
    return score.has_logprob() ? score.logprob() : NAN;
  }
};

TEST_F(CorrectionTest, NoneIsTheSum) {
  EXPECT_EQ(Logprob(plan_.words[0]), -1);
  EXPECT_EQ(Logprob(plan_.words[1]), -5);
  EXPECT_TRUE(std::isnan(Logprob(plan_.words[3])));
  EXPECT_EQ(Logprob(plan_.regions[0]), -10);
  EXPECT_TRUE(SetsFor(plan_, ids_, sets_, 1, 5).empty());
}

TEST_F(CorrectionTest, OhSchulerMovesTheBlankToTheWordBeforeIt) {
  plan_.correction = v1::WORD_CORRECTION_OH_SCHULER;
  EXPECT_EQ(SetsFor(plan_, ids_, sets_, 1, 5), std::vector<uint8_t>(5, kBeginsWord));
  EXPECT_EQ(Logprob(plan_.words[0]), -1 + -0.25) << "no blank in front: nothing is taken away";
  EXPECT_EQ(Logprob(plan_.words[1]), -5 + 0.25 + -0.125);
  EXPECT_EQ(Logprob(plan_.words[2]), -4 + -0.0625);
  EXPECT_EQ(Logprob(plan_.regions[1]), -9 + 0.25 + -0.0625);
}

TEST_F(CorrectionTest, PimentelMeisterAlsoWeighsTheFirstWordsBeginning) {
  plan_.correction = v1::WORD_CORRECTION_PIMENTEL_MEISTER;
  EXPECT_THAT(SetsFor(plan_, ids_, sets_, 1, 5),
              ElementsAre(kContinuesWord, kBeginsWordOrEnds, kBeginsWordOrEnds, kBeginsWordOrEnds,
                          kBeginsWordOrEnds));
  EXPECT_EQ(Logprob(plan_.words[0]), -1 + 0.5 + -0.25);
  EXPECT_EQ(Logprob(plan_.words[1]), -5 + 0.25 + -0.125);
  EXPECT_EQ(Logprob(plan_.regions[0]), -10 + 0.5 + -0.0625);
}

TEST_F(CorrectionTest, AWordWithATokenThatIsNotScoredHasNoValue) {
  const auto scores = std::span(scores_).subspan(2);
  const ScoredRun run = {ids_, sets_, 3, 5, scores};
  EXPECT_FALSE(ToSpanScore(plan_, plan_.words[1], run).has_logprob());
  EXPECT_TRUE(ToSpanScore(plan_, plan_.words[2], run).has_logprob());
  const ScoredRun cut = {ids_, sets_, 1, 3, std::span(scores_).first(2)};
  EXPECT_FALSE(ToSpanScore(plan_, plan_.words[1], cut).has_logprob());
}

}  // namespace
}  // namespace dyad
