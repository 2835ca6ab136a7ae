// The byte alphabet: one printable character for each byte, and known ones in their places.
#include "server/text/byte_alphabet.h"

#include <set>

#include "gtest/gtest.h"
#include "server/text/character_class.h"

namespace dyad {
namespace {

TEST(ByteAlphabetTest, EachByteHasACharacterOfItsOwn) {
  std::set<char32_t> characters;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t character = CharacterOfByte(static_cast<uint8_t>(byte));
    EXPECT_TRUE(characters.insert(character).second) << byte;
    EXPECT_EQ(ByteOfCharacter(character), static_cast<uint8_t>(byte));
    EXPECT_NE(ClassOf(character), CharacterClass::kSpace) << byte;
    EXPECT_GT(character, 0x20u);
  }
}

TEST(ByteAlphabetTest, KnownCharactersStandWhereVocabulariesHaveThem) {
  EXPECT_EQ(CharacterOfByte('A'), U'A');
  EXPECT_EQ(CharacterOfByte(' '), U'\u0120');
  EXPECT_EQ(CharacterOfByte('\n'), U'\u010A');
  EXPECT_EQ(CharacterOfByte(0), U'\u0100');
  EXPECT_EQ(CharacterOfByte(0x7F), U'\u0121');
  EXPECT_EQ(CharacterOfByte(0xA0), U'\u0142');
  EXPECT_EQ(CharacterOfByte(0xAD), U'\u0143');
  EXPECT_EQ(CharacterOfByte(0xFF), U'\u00FF');
}

TEST(ByteAlphabetTest, OtherCharactersStandForNoByte) {
  for (const char32_t character : {U' ', U'\n', U'\u00A0', U'\u00AD', U'\u0144', U'\U0001F600'}) {
    EXPECT_EQ(ByteOfCharacter(character), std::nullopt);
  }
}

TEST(ByteAlphabetTest, TokensAreTranslatedWholeOrNotAtAll) {
  EXPECT_EQ(BytesOfToken("\u0120the"), " the");
  EXPECT_EQ(BytesOfToken("\u00C3\u00A9"), "\xC3\xA9");  // the two bytes of an accented e
  EXPECT_EQ(BytesOfToken(""), "");
  EXPECT_EQ(BytesOfToken("a b"), std::nullopt);
}

}  // namespace
}  // namespace dyad
