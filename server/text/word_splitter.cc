// The alternatives of the pattern, in its order.
#include "server/text/word_splitter.h"

#include <array>

#include "server/text/character_class.h"
#include "server/text/utf8.h"

namespace dyad {
namespace {

constexpr std::array<CharacterClass, 128> MakeAsciiClasses() {
  std::array<CharacterClass, 128> classes{};
  for (int c = 0; c < 128; ++c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) classes[c] = CharacterClass::kLetter;
    if (c >= '0' && c <= '9') classes[c] = CharacterClass::kNumber;
    if (c == ' ' || (c >= '\t' && c <= '\r')) classes[c] = CharacterClass::kSpace;
  }
  return classes;
}
// Most text is ASCII: this saves decoding it.
constexpr std::array<CharacterClass, 128> kAsciiClasses = MakeAsciiClasses();

struct ClassedChar {
  CharacterClass character_class;
  int length;
};

ClassedChar ReadClass(std::string_view text, size_t position) {
  const uint8_t byte = static_cast<uint8_t>(text[position]);
  if (byte < 0x80) return {kAsciiClasses[byte], 1};
  const Utf8Char character = CharAt(text, position);
  return {ClassOf(character.code_point), character.length};
}

size_t EndOfRun(std::string_view text, size_t position, CharacterClass wanted) {
  while (position < text.size()) {
    const ClassedChar next = ReadClass(text, position);
    if (next.character_class != wanted) break;
    position += next.length;
  }
  return position;
}

// Length of the contraction that follows an apostrophe at `start`, the apostrophe included; 0 if
// none.
size_t ContractionLength(std::string_view text, size_t start) {
  const std::string_view tail = text.substr(start + 1, 2);
  if (tail.empty()) return 0;
  switch (tail[0]) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return tail.size() == 2 && tail[1] == 'e' ? 3 : 0;
    case 'l':
      return tail.size() == 2 && tail[1] == 'l' ? 3 : 0;
    default:
      return 0;
  }
}

}  // namespace

size_t EndOfWord(std::string_view text, size_t start) {
  if (text[start] == '\'') {
    if (const size_t length = ContractionLength(text, start); length > 0) return start + length;
  }
  const ClassedChar first = ReadClass(text, start);
  const size_t after_first = start + first.length;
  if (first.character_class != CharacterClass::kSpace) {
    return EndOfRun(text, after_first, first.character_class);
  }
  if (text[start] == ' ' && after_first < text.size()) {
    const ClassedChar second = ReadClass(text, after_first);
    if (second.character_class != CharacterClass::kSpace) {
      return EndOfRun(text, after_first + second.length, second.character_class);
    }
  }
  const size_t end = EndOfRun(text, after_first, CharacterClass::kSpace);
  // Blanks up to the end of the text are one word. Before a word the last of several is left to it.
  if (end == text.size() || end == after_first) return end;
  return PreviousChar(text, end);
}

}  // namespace dyad
