// UTF-8, read one character at a time, with bad bytes told apart from those that are not all there
// yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dyad {

enum class Utf8State {
  kValid,       // a whole character
  kInvalid,     // a maximal bad part: what a decoder replaces by one U+FFFD
  kIncomplete,  // a good beginning that the end of the bytes cuts off
};

struct Utf8Step {
  Utf8State state;
  int length;           // bytes, at least 1
  char32_t code_point;  // of a valid character
};

// What begins at bytes[0]. REQUIRES: bytes is not empty.
Utf8Step ReadUtf8(std::string_view bytes);

// Offset of the first byte that is not part of a valid character (a cut-off one counts as bad).
std::optional<size_t> FirstInvalidByte(std::string_view bytes);

struct ValidText {
  std::string text;  // valid UTF-8; each maximal bad part has become U+FFFD
  size_t consumed;   // bytes read; those that are left begin a character
};
// Cost: O(bytes).
ValidText ToValidText(std::string_view bytes);

// REQUIRES: a code point up to U+10FFFF that is not a surrogate.
std::string EncodeUtf8(char32_t code_point);

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

struct Utf8Char {
  char32_t code_point;
  int length;  // bytes
};
// The character that begins at text[position], without checks. REQUIRES: text is valid UTF-8 and
// position is the beginning of a character.
inline Utf8Char CharAt(std::string_view text, size_t position) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[position + i]); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3Fu), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu), 3};
  return {
      (lead & 0x07) << 18 | (byte(1) & 0x3Fu) << 12 | (byte(2) & 0x3Fu) << 6 | (byte(3) & 0x3Fu),
      4};
}

// Where the character begins that ends just before `position`. REQUIRES: as above, position > 0.
inline size_t PreviousChar(std::string_view text, size_t position) {
  do {
    --position;
  } while ((static_cast<uint8_t>(text[position]) & 0xC0) == 0x80);
  return position;
}

}  // namespace dyad
