// The tokenizer as a whole, from hand-made specifications: order of the steps, offsets, frames,
// decoding.
#include "server/text/byte_level_tokenizer.h"

#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/text/tiny_tokenizer.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::HasSubstr;
using testing::kEnd;
using testing::kHello;
using testing::kSpaceWo;
using testing::MakeAdded;
using testing::StatusIs;
using testing::TinySpec;
using Ids = std::vector<int32_t>;

std::unique_ptr<Tokenizer> Make(const TokenizerSpec& spec) {
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = ByteLevelTokenizer::Create(spec);
  EXPECT_OK(tokenizer);
  return *std::move(tokenizer);
}

TokenizerSpec SpecWithEnd() {
  TokenizerSpec spec = TinySpec();
  spec.added.push_back(MakeAdded("<end>", kEnd));
  spec.added.back().special = true;
  return spec;
}

Encoding Encode(const TokenizerSpec& spec, const std::string& text, EncodeOptions options = {}) {
  const absl::StatusOr<Encoding> encoding = Make(spec)->Encode(text, options);
  EXPECT_OK(encoding);
  EXPECT_EQ(encoding->ids.size(), encoding->offsets.size());
  return *encoding;
}

TEST(ByteLevelTokenizerTest, WordsAreMergedEachForItself) {
  const Encoding encoding = Encode(TinySpec(), "hello world hello");
  EXPECT_EQ(encoding.ids, (Ids{kHello, kSpaceWo, 'r', 'l', 'd', ' ', kHello}));
  EXPECT_EQ(encoding.offsets, (Ids{0, 5, 8, 9, 10, 11, 12}));
  EXPECT_EQ(Encode(TinySpec(), "").ids, (Ids{}));
}

TEST(ByteLevelTokenizerTest, SpecialTokensAreReadOrLiteral) {
  const Encoding parsed = Encode(SpecWithEnd(), "a<end>hello");
  EXPECT_EQ(parsed.ids, (Ids{'a', kEnd, kHello}));
  EXPECT_EQ(parsed.offsets, (Ids{0, 1, 6}));
  const Encoding literal =
      Encode(SpecWithEnd(), "a<end>", {.special_tokens = SpecialTokens::kLiteral});
  EXPECT_EQ(literal.ids, (Ids{'a', '<', 'e', 'n', 'd', '>'}));
}

TEST(ByteLevelTokenizerTest, TheFrameStandsAroundTheText) {
  TokenizerSpec spec = SpecWithEnd();
  spec.frame_before = {kEnd};
  spec.frame_after = {1, 2};
  const Encoding framed = Encode(spec, "hello", {.frame = Frame::kDefault});
  EXPECT_EQ(framed.ids, (Ids{kEnd, kHello, 1, 2}));
  EXPECT_EQ(framed.offsets, (Ids{0, 0, 5, 5}));
  EXPECT_EQ(Encode(spec, "", {.frame = Frame::kDefault}).ids, (Ids{kEnd, 1, 2}));
  EXPECT_EQ(Encode(spec, "hello").ids, (Ids{kHello}));
}

TEST(ByteLevelTokenizerTest, APrefixSpaceIsAddedOnlyWhereNoneIsAndTakesNoPlace) {
  TokenizerSpec spec = SpecWithEnd();
  spec.add_prefix_space = true;
  const Encoding encoding = Encode(spec, "wo<end>wo<end> wo");
  EXPECT_EQ(encoding.ids, (Ids{kSpaceWo, kEnd, kSpaceWo, kEnd, kSpaceWo}));
  EXPECT_EQ(encoding.offsets, (Ids{0, 2, 7, 9, 14}));
  const Encoding apart = Encode(spec, "xy");
  EXPECT_EQ(apart.ids, (Ids{' ', 'x', 'y'}));
  EXPECT_EQ(apart.offsets, (Ids{0, 0, 1}));
  EXPECT_EQ(Encode(spec, "").ids, (Ids{}));
}

TEST(ByteLevelTokenizerTest, WithoutThePatternATextIsOneWord) {
  TokenizerSpec spec = TinySpec();
  spec.vocabulary["o\u0120w"] = 300;
  spec.merges.insert(spec.merges.begin(), {"o", "\u0120w"});
  EXPECT_EQ(Encode(spec, "o w").ids, (Ids{'o', testing::kSpaceW}));
  spec.split_words = false;
  EXPECT_EQ(Encode(spec, "o w").ids, (Ids{300}));
}

// A special token is found in the text as given; "normalized" tokens in what NFC makes of it.
TEST(ByteLevelTokenizerTest, NormalisingComesBetweenTheTwoKindsOfAddedTokens) {
  TokenizerSpec spec = TinySpec();
  spec.normalizer = Normalizer::kNfc;
  spec.added = {MakeAdded("e\u0301", 400), MakeAdded("a\u0308", 401)};
  spec.added[1].normalized = true;  // is looked for as U+00E4
  const Encoding encoding = Encode(spec, "e\u0301 \u00e9 a\u0308 \u00e4x");
  EXPECT_EQ(encoding.ids, (Ids{400, ' ', 0xC3, 0xA9, ' ', 401, ' ', 401, 'x'}));
  EXPECT_EQ(encoding.offsets, (Ids{0, 3, 4, 5, 6, 7, 9, 10, 12}));
}

TEST(ByteLevelTokenizerTest, OffsetsCountInTheNormalisedText) {
  TokenizerSpec spec = SpecWithEnd();
  spec.normalizer = Normalizer::kNfc;
  const Encoding encoding = Encode(spec, "e\u0301<end>x");
  EXPECT_EQ(encoding.ids, (Ids{0xC3, 0xA9, kEnd, 'x'}));
  EXPECT_EQ(encoding.offsets, (Ids{0, 1, 2, 7}));
  EXPECT_TRUE(encoding.is_normalized);
  EXPECT_FALSE(Encode(spec, "\u00e9<end>x").is_normalized);
}

TEST(ByteLevelTokenizerTest, TextThatIsNotUtf8IsRefusedWithTheOffset) {
  EXPECT_THAT(Make(TinySpec())->Encode("ab\xFFz", {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("bad byte at offset 2")));
}

TEST(ByteLevelTokenizerTest, DecodesBytesAndReplacesBrokenCharactersOnce) {
  const std::unique_ptr<Tokenizer> tokenizer = Make(SpecWithEnd());
  const Ids ids = {kHello, kEnd, 0xF0, 0x9F, kEnd, 'x', -5, 999999, 0xC3, 0xA9, 0xE2};
  EXPECT_EQ(tokenizer->Decode(ids, DecodeSpecial::kKeep), "hello<end>\uFFFD<end>x\u00e9\uFFFD");
  EXPECT_EQ(tokenizer->Decode(ids, DecodeSpecial::kSkip), "hello\uFFFDx\u00e9\uFFFD");
  // A special token that is left out does not part the bytes around it.
  EXPECT_EQ(tokenizer->Decode(Ids{0xC3, kEnd, 0xA9}, DecodeSpecial::kSkip), "\u00e9");
}

TEST(ByteLevelTokenizerTest, TokensTellTheirBytesAndWhetherTheyAreSpecial) {
  TokenizerSpec spec = SpecWithEnd();
  spec.added.push_back(MakeAdded("two words", 270));
  spec.added.push_back(MakeAdded("  ", 269));  // blanks, but not the vocabulary's
  const std::unique_ptr<Tokenizer> tokenizer = Make(spec);
  EXPECT_EQ(tokenizer->vocab_size(), 271);
  EXPECT_EQ(tokenizer->TokenBytes(kSpaceWo), " wo");
  EXPECT_EQ(tokenizer->TokenBytes(0), std::string_view("\0", 1));
  EXPECT_EQ(tokenizer->TokenBytes(270), "two words");
  for (const int32_t id : {-1, 265, 271, 1 << 30}) EXPECT_EQ(tokenizer->TokenBytes(id), "");
  EXPECT_TRUE(tokenizer->BeginsWord(kSpaceWo));
  EXPECT_TRUE(tokenizer->BeginsWord(' '));
  for (const int32_t id : {-1, kHello, kEnd, 269, 271}) EXPECT_FALSE(tokenizer->BeginsWord(id));
  EXPECT_TRUE(tokenizer->IsSpecial(kEnd));
  for (const int32_t id : {-1, 0, 270, 271}) EXPECT_FALSE(tokenizer->IsSpecial(id));
  EXPECT_EQ(tokenizer->bos_id(), std::nullopt);
}

TEST(ByteLevelTokenizerTest, EncodingThenDecodingGivesRandomTextsBack) {
  const std::unique_ptr<Tokenizer> tokenizer = Make(SpecWithEnd());
  std::mt19937 random(5);
  for (int i = 0; i < 500; ++i) {
    std::string text;
    for (int n = random() % 60; n > 0; --n) {
      const char32_t scale[] = {0x80, 0x800, 0xD800, 0x110000};
      char32_t code_point = random() % scale[random() % 4];
      if (code_point >= 0xD800 && code_point < 0xE000) code_point = ' ';
      text += EncodeUtf8(code_point);
      if (random() % 10 == 0) text += "<end>  hello";
    }
    const absl::StatusOr<Encoding> encoding = tokenizer->Encode(text, {});
    ASSERT_OK(encoding);
    ASSERT_EQ(tokenizer->Decode(encoding->ids, DecodeSpecial::kKeep), text);
  }
}

TEST(ByteLevelTokenizerTest, ContradictionsAreRefused) {
  const auto refused = [](const TokenizerSpec& spec, const char* message) {
    EXPECT_THAT(ByteLevelTokenizer::Create(spec),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  TokenizerSpec same_id = TinySpec();
  same_id.vocabulary["xx"] = 'a';
  refused(same_id, "vocabulary of the test: \"a\" and \"xx\" both have id 97");
  TokenizerSpec two_ids = TinySpec();
  two_ids.added = {MakeAdded("<end>", 7)};
  refused(two_ids, "added token \"<end>\" has id 7; in vocabulary of the test it has 263");
  TokenizerSpec taken = TinySpec();
  taken.added = {MakeAdded("<x>", 'a')};
  refused(taken, "added token \"<x>\" has id 97, which is that of \"a\"");
  TokenizerSpec frame = TinySpec();
  frame.frame_after = {264};
  refused(frame, "post_processor adds token id 264; the largest is 263");
  TokenizerSpec merge = TinySpec();
  merge.merges.emplace_back("a", "zz");
  refused(merge, "\"zz\"");
}

// Run under the thread sanitizer: one tokenizer, many threads.
TEST(ByteLevelTokenizerTest, ManyThreadsShareOne) {
  const std::unique_ptr<Tokenizer> tokenizer = Make(SpecWithEnd());
  std::vector<std::thread> threads;
  std::vector<size_t> totals(4, 0);
  for (size_t& total : totals) {
    threads.emplace_back([&tokenizer, &total] {
      for (int i = 0; i < 200; ++i) {
        const Encoding encoding = *tokenizer->Encode("hello world \u4F60\u597D <end>", {});
        total += encoding.ids.size() + tokenizer->Decode(encoding.ids, DecodeSpecial::kKeep).size();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const size_t total : totals) EXPECT_EQ(total, totals[0]);
}

}  // namespace
}  // namespace dyad
