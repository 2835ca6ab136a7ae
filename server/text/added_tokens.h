// Finds added tokens (special ones, NeoX's runs of blanks) in a text, as huggingface/tokenizers
// does.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/text/tokenizer.h"
#include "server/text/tokenizer_spec.h"

namespace dyad {

// A stretch of a text: an added token, or what lies between two of them.
struct TextPart {
  size_t
      begin;  // byte offsets; end >= begin (equal: its text went to the blanks of the one before)
  size_t end;
  std::optional<int32_t> id;  // of the added token; nothing: plain text
};

// Leftmost match wins, of several that begin there the longest. Immutable; any thread.
class AddedTokenMatcher {
 public:
  // `tokens` have distinct contents.
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  // Cuts a text into parts, in order and without gaps; none for an empty text. Under kLiteral
  // special tokens are plain text (still, no other token is found inside one). Cost: O(bytes ·
  // length of the longest added token) at worst. REQUIRES: valid UTF-8.
  std::vector<TextPart> Split(std::string_view text, SpecialTokens special) const;

 private:
  static constexpr int32_t kNone = -1;
  struct Match {
    int32_t token;  // index into tokens_, or kNone
    size_t end;
  };
  int32_t Child(int32_t node, uint8_t byte) const;
  Match LongestAt(std::string_view text, size_t begin) const;

  std::vector<AddedToken> tokens_;
  // A trie over bytes. The root's children are an array, because most bytes of a text go no
  // further.
  std::array<int32_t, 256> root_;
  std::unordered_map<uint64_t, int32_t> children_;  // node << 8 | byte -> node
  std::vector<int32_t> token_at_;                   // of each node: the token that ends there
};

}  // namespace dyad
