// Streaming: whole characters only, equal to decoding at once, cut at the first complete stop
// string wherever tokens end.
#include "server/text/stream_decoder.h"

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/text/byte_level_tokenizer.h"
#include "tests/server/text/tiny_tokenizer.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using testing::kEnd;
using testing::kHello;
using testing::kSpaceWo;
using Ids = std::vector<int32_t>;
using Strings = std::vector<std::string>;

class StreamDecoderTest : public ::testing::Test {
 protected:
  StreamDecoderTest() {
    TokenizerSpec spec = testing::TinySpec();
    spec.added.push_back(testing::MakeAdded("<end>", kEnd));
    spec.added.back().special = true;
    tokenizer_ = *ByteLevelTokenizer::Create(spec);
  }

  struct Outcome {
    Strings pieces;  // the empty ones left out
    std::string text;
    bool stopped = false;
  };
  Outcome Run(const Ids& ids, const Strings& stop) const {
    StreamDecoder decoder(*tokenizer_, stop);
    Outcome outcome;
    const auto take = [&](const StreamDecoder::Piece& piece) {
      EXPECT_FALSE(FirstInvalidByte(piece.text).has_value());
      EXPECT_FALSE(outcome.stopped && !piece.text.empty());
      if (!piece.text.empty()) outcome.pieces.push_back(piece.text);
      outcome.text += piece.text;
      outcome.stopped = piece.stopped;
    };
    for (const int32_t id : ids) take(decoder.Push(id));
    take(decoder.Finish());
    return outcome;
  }
  Ids IdsOf(const std::string& bytes) const {  // one token for each byte
    Ids ids;
    for (const char byte : bytes) ids.push_back(static_cast<uint8_t>(byte));
    return ids;
  }

  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(StreamDecoderTest, TokensComeOutAsTheyGoIn) {
  EXPECT_EQ(Run({kHello, kSpaceWo, 'r'}, {}).pieces, (Strings{"hello", " wo", "r"}));
  EXPECT_EQ(Run({}, {}).text, "");
}

TEST_F(StreamDecoderTest, ACharacterWaitsForItsLastByte) {
  StreamDecoder decoder(*tokenizer_, {});
  EXPECT_EQ(decoder.Push(0xF0).text, "");
  EXPECT_EQ(decoder.Push(0x9F).text, "");
  EXPECT_EQ(decoder.Push(0x98).text, "");
  EXPECT_EQ(decoder.Push(0x80).text, "\U0001F600");
  EXPECT_EQ(decoder.Finish().text, "");
}

TEST_F(StreamDecoderTest, BrokenCharactersAreReplacedAsSoonAsTheyAreKnown) {
  EXPECT_EQ(Run({0xF0, 0x9F, 'x'}, {}).pieces, (Strings{"\uFFFDx"}));
  EXPECT_EQ(Run({0x80, 'x'}, {}).pieces, (Strings{"\uFFFD", "x"}));
  EXPECT_EQ(Run({'x', 0xE2, 0x82}, {}).pieces, (Strings{"x", "\uFFFD"}));
}

TEST_F(StreamDecoderTest, SpecialTokensAndUnknownIdsAreNoText) {
  EXPECT_EQ(Run({'a', kEnd, 'b', -1, 100000}, {}).text, "ab");
  EXPECT_EQ(Run({0xC3, kEnd, 0xA9}, {}).text, "\u00e9");
}

TEST_F(StreamDecoderTest, AStopStringAcrossTokensCutsTheText) {
  const Outcome outcome = Run({'a', kHello, kSpaceWo, 'r', 'x'}, {"lo wor"});
  EXPECT_EQ(outcome.text, "ahel");
  EXPECT_TRUE(outcome.stopped);
}

TEST_F(StreamDecoderTest, WhatMayBeginAStopStringIsHeldBackAndComesLater) {
  StreamDecoder decoder(*tokenizer_, {"lo wok"});
  EXPECT_EQ(decoder.Push(kHello).text, "hel");
  EXPECT_EQ(decoder.Push(kSpaceWo).text, "");
  EXPECT_EQ(decoder.Push('r').text, "lo wor");
  EXPECT_EQ(decoder.Push('l').text, "");
  EXPECT_EQ(decoder.Finish().text, "l");
}

TEST_F(StreamDecoderTest, NothingComesAfterAStop) {
  StreamDecoder decoder(*tokenizer_, {"b"});
  EXPECT_EQ(decoder.Push('a').text, "a");
  const StreamDecoder::Piece last = decoder.Push('b');
  EXPECT_TRUE(last.stopped);
  EXPECT_EQ(last.text, "");
  EXPECT_TRUE(decoder.Push('c').stopped);
  EXPECT_EQ(decoder.Push('c').text, "");
  EXPECT_TRUE(decoder.Finish().stopped);
  EXPECT_EQ(decoder.stop(), "b");
}

TEST_F(StreamDecoderTest, TheOneThatIsCompleteFirstCutsAndOfTwoTheLonger) {
  EXPECT_EQ(Run(IdsOf("xabcd"), {"abcd", "bc"}).text, "xa");
  EXPECT_EQ(Run(IdsOf("xabcd"), {"c", "abc"}).text, "x");
  EXPECT_EQ(Run(IdsOf("aab"), {"ab"}).text, "a");
  EXPECT_EQ(Run(IdsOf("ababac"), {"abac"}).text, "ab");
}

TEST_F(StreamDecoderTest, StopStringsThatNoTextCanHoldAreNone) {
  const Outcome outcome = Run(IdsOf("a\u00e9"), {"", "\xA9", "\xC3"});
  EXPECT_EQ(outcome.text, "a\u00e9");
  EXPECT_FALSE(outcome.stopped);
}

TEST_F(StreamDecoderTest, AReplacementCharacterMayCompleteAStopString) {
  const Outcome outcome = Run({'a', 'b', 0xE2}, {"b\uFFFD"});
  EXPECT_EQ(outcome.text, "a");
  EXPECT_TRUE(outcome.stopped);
}

// What the header promises, over the whole text at once.
std::string CutAtFirstComplete(const std::string& text, const Strings& stop) {
  for (size_t end = 1; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string& s : stop) {
      if (text.substr(0, end).ends_with(s)) longest = std::max(longest, s.size());
    }
    if (longest > 0) return text.substr(0, end - longest);
  }
  return text;
}

TEST_F(StreamDecoderTest, RandomTokensAndStopsEqualDecodingAtOnce) {
  std::mt19937 random(17);
  const Ids tokens = {'a', 'b', 'a', 'b', testing::kAa, 0xC3, 0xA9, 0xE2, 0x82, kEnd, 0xF0, 0x9F};
  int stops = 0;
  for (int i = 0; i < 5000; ++i) {
    Ids ids(random() % 30);
    for (int32_t& id : ids) id = tokens[random() % tokens.size()];
    Strings stop(random() % 4);
    for (std::string& s : stop) {
      for (int n = 1 + random() % 5; n > 0; --n) {
        s += random() % 4 == 0 ? "\u00e9" : random() % 8 == 0 ? "\uFFFD" : random() % 2 ? "a" : "b";
      }
    }
    const std::string whole = tokenizer_->Decode(ids, DecodeSpecial::kSkip);
    const std::string expected = CutAtFirstComplete(whole, stop);
    const Outcome outcome = Run(ids, stop);
    ASSERT_EQ(outcome.text, expected);
    ASSERT_EQ(outcome.stopped, expected != whole);
    stops += outcome.stopped ? 1 : 0;
  }
  EXPECT_GT(stops, 500);
}

}  // namespace
}  // namespace dyad
