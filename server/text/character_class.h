// Letter, number, space or other: the four classes that the ByteLevel pattern tells apart.
#pragma once

#include <cstdint>

namespace dyad {

enum class CharacterClass : uint8_t { kOther, kLetter, kNumber, kSpace };

// The class of any code point up to U+10FFFF; kOther above. Cost: two table reads. Any thread.
// Source: character_ranges.h; the tables are unfolded from it on first use.
CharacterClass ClassOf(char32_t code_point);

// What Python calls white space (str.isspace, \s): kSpace, which is Unicode's White_Space, and the
// separators U+001C to U+001F.
bool IsPythonSpace(char32_t code_point);

// Whether \w of the reference's regular expressions takes it (letters, marks, decimal digits,
// connector punctuation, joiners): it decides where a "single word" added token may stand.
bool IsWordCharacter(char32_t code_point);

}  // namespace dyad
