// The alphabet in which vocabularies of ByteLevel BPE are written: one printable character for each
// byte.
//
// Bytes that print in Latin-1 stand for themselves; the 68 others, in ascending order, are written
// as U+0100, U+0101, ...: so a space (0x20) is U+0120 and a newline (0x0A) is U+010A.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dyad {

// The character that stands for a byte.
char32_t CharacterOfByte(uint8_t byte);
// The byte that a character stands for, if any.
std::optional<uint8_t> ByteOfCharacter(char32_t code_point);

// The bytes that a vocabulary entry stands for; nothing if it holds a character outside of the
// alphabet. REQUIRES: valid UTF-8.
std::optional<std::string> BytesOfToken(std::string_view token);

}  // namespace dyad
