// The ByteLevel pre-tokenizer: cuts a text into the words inside which byte pairs are merged.
//
// It is a matcher for one pattern, tried from left to right, the first alternative that fits wins:
//
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// So a blank goes with the word after it, and of a run of blanks before a word the last stands
// apart.
#pragma once

#include <cstddef>
#include <string_view>

namespace dyad {

// Where the word that begins at `start` ends. The words of a text follow each other without gaps.
// Cost: O(bytes of the word), plus the run of blanks that it is cut from.
// REQUIRES: text is valid UTF-8, start is the beginning of a character in it.
size_t EndOfWord(std::string_view text, size_t start);

}  // namespace dyad
