// Both directions of the alphabet, computed once from its rule.
#include "server/text/byte_alphabet.h"

#include <array>

#include "server/text/utf8.h"

namespace dyad {
namespace {

constexpr char32_t kFirstStandIn = 0x100;
constexpr int kStandIns = 68;

constexpr bool PrintsInLatin1(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<char32_t, 256> character_of{};
  std::array<int16_t, kFirstStandIn + kStandIns> byte_of{};  // -1: stands for no byte
};

constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  for (int16_t& byte : alphabet.byte_of) byte = -1;
  char32_t stand_in = kFirstStandIn;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t character = PrintsInLatin1(byte) ? static_cast<char32_t>(byte) : stand_in++;
    alphabet.character_of[byte] = character;
    alphabet.byte_of[character] = static_cast<int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

}  // namespace

char32_t CharacterOfByte(uint8_t byte) { return kAlphabet.character_of[byte]; }

std::optional<uint8_t> ByteOfCharacter(char32_t code_point) {
  if (code_point >= kAlphabet.byte_of.size()) return std::nullopt;
  const int16_t byte = kAlphabet.byte_of[code_point];
  if (byte < 0) return std::nullopt;
  return static_cast<uint8_t>(byte);
}

std::optional<std::string> BytesOfToken(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (size_t position = 0; position < token.size();) {
    const Utf8Char character = CharAt(token, position);
    const std::optional<uint8_t> byte = ByteOfCharacter(character.code_point);
    if (!byte.has_value()) return std::nullopt;
    bytes.push_back(static_cast<char>(*byte));
    position += character.length;
  }
  return bytes;
}

}  // namespace dyad
