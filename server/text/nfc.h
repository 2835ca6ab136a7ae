// Unicode normalisation form C, as the GPT-NeoX tokenizer asks for it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dyad {

// The text in NFC; nothing if it is surely so already (no character from U+0300 on).
// Cost: O(bytes · log of the longest run of combining marks). REQUIRES: valid UTF-8.
std::optional<std::string> ToNfc(std::string_view text);

}  // namespace dyad
