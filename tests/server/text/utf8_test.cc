// UTF-8: every code point there and back, every kind of badness, and what a cut leaves.
#include "server/text/utf8.h"

#include <string>

#include "gtest/gtest.h"

namespace dyad {
namespace {

TEST(Utf8Test, EveryCodePointGoesThereAndBack) {
  for (char32_t code_point = 0; code_point < 0x110000; ++code_point) {
    if (code_point >= 0xD800 && code_point < 0xE000) continue;
    const std::string bytes = EncodeUtf8(code_point);
    const Utf8Step step = ReadUtf8(bytes);
    ASSERT_EQ(step.state, Utf8State::kValid) << static_cast<uint32_t>(code_point);
    ASSERT_EQ(step.code_point, code_point);
    ASSERT_EQ(static_cast<size_t>(step.length), bytes.size());
    ASSERT_EQ(CharAt(bytes, 0).code_point, code_point);
    ASSERT_EQ(PreviousChar(bytes, bytes.size()), 0u);
  }
}

TEST(Utf8Test, EveryCutCharacterIsIncomplete) {
  for (const std::string whole : {"\u00e9", "\u20ac", "\U0001F600"}) {
    for (size_t length = 1; length < whole.size(); ++length) {
      const Utf8Step step = ReadUtf8(whole.substr(0, length));
      EXPECT_EQ(step.state, Utf8State::kIncomplete);
      EXPECT_EQ(static_cast<size_t>(step.length), length);
    }
  }
}

struct Bad {
  std::string bytes;
  std::string replaced;  // with U+FFFD for each maximal bad part
};

TEST(Utf8Test, EachMaximalBadPartIsReplacedOnce) {
  const std::string r(kReplacementCharacter);
  const Bad cases[] = {
      {"\x80", r},                          // a continuation alone
      {"\xC0\xAF", r + r},                  // overlong, two bytes
      {"\xE0\x80\xAF", r + r + r},          // overlong, three bytes
      {"\xF0\x80\x80\xAF", r + r + r + r},  // overlong, four bytes
      {"\xED\xA0\x80", r + r + r},          // a surrogate
      {"\xF4\x90\x80\x80", r + r + r + r},  // above U+10FFFF
      {"\xF5\x80", r + r},                  // no such lead byte
      {"\xFF", r},                          //
      {"a\xE2\x82"
       "b",
       "a" + r + "b"},  // cut short: one part
      {"\xF0\x9F\x98"
       "x",
       r + "x"},                                    // the same, three bytes of four
      {"\xF0\x9F\x41\xE2\x41", r + "A" + r + "A"},  // two parts apart
      {"12345678\xE1\x80"
       "12345678",
       "12345678" + r + "12345678"},
  };
  for (const Bad& bad : cases) {
    const ValidText valid = ToValidText(bad.bytes);
    EXPECT_EQ(valid.text, bad.replaced);
    EXPECT_EQ(valid.consumed, bad.bytes.size());
  }
}

TEST(Utf8Test, AnIncompleteEndIsLeft) {
  const ValidText valid = ToValidText("abc\xF0\x9F\x98");
  EXPECT_EQ(valid.text, "abc");
  EXPECT_EQ(valid.consumed, 3u);
}

TEST(Utf8Test, FirstInvalidByteIsWhereTheBadCharacterBegins) {
  EXPECT_EQ(FirstInvalidByte(""), std::nullopt);
  EXPECT_EQ(FirstInvalidByte(std::string_view("\0 plain \u00e9 \U0001F600", 15)), std::nullopt);
  // At each place relative to the eight bytes that are looked at together.
  for (size_t before = 0; before < 20; ++before) {
    const std::string text = std::string(before, 'a') + "\xC3(" + std::string(20, 'b');
    EXPECT_EQ(FirstInvalidByte(text), before);
  }
  EXPECT_EQ(FirstInvalidByte("ab\xE2\x82"), 2u);  // cut off at the end
}

}  // namespace
}  // namespace dyad
