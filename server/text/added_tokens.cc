// A trie walk from each byte that can begin a token, then the rules of single words and stripped
// blanks.
#include "server/text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "server/text/character_class.h"
#include "server/text/utf8.h"

namespace dyad {
namespace {

uint64_t Edge(int32_t node, uint8_t byte) { return static_cast<uint64_t>(node) << 8 | byte; }

bool IsSpaceAt(std::string_view text, size_t position) {
  return ClassOf(CharAt(text, position).code_point) == CharacterClass::kSpace;
}

bool TouchesWord(std::string_view text, size_t begin, size_t end) {
  const auto is_word = [&](size_t position) {
    return IsWordCharacter(CharAt(text, position).code_point);
  };
  return (begin > 0 && is_word(PreviousChar(text, begin))) || (end < text.size() && is_word(end));
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  root_.fill(kNone);
  for (size_t i = 0; i < tokens_.size(); ++i) {
    int32_t node = kNone;
    for (const char c : tokens_[i].content) {
      const uint8_t byte = static_cast<uint8_t>(c);
      int32_t& child = node == kNone ? root_[byte]
                                     : children_.try_emplace(Edge(node, byte), kNone).first->second;
      if (child == kNone) {
        child = static_cast<int32_t>(token_at_.size());
        token_at_.push_back(kNone);
      }
      node = child;
    }
    // The first of equal ones stays.
    if (node != kNone && token_at_[node] == kNone) token_at_[node] = static_cast<int32_t>(i);
  }
}

int32_t AddedTokenMatcher::Child(int32_t node, uint8_t byte) const {
  const auto found = children_.find(Edge(node, byte));
  return found == children_.end() ? kNone : found->second;
}

AddedTokenMatcher::Match AddedTokenMatcher::LongestAt(std::string_view text, size_t begin) const {
  Match longest = {kNone, begin};
  int32_t node = root_[static_cast<uint8_t>(text[begin])];
  for (size_t end = begin + 1; node != kNone; ++end) {
    if (token_at_[node] != kNone) longest = {token_at_[node], end};
    if (end == text.size()) break;
    node = Child(node, static_cast<uint8_t>(text[end]));
  }
  return longest;
}

std::vector<TextPart> AddedTokenMatcher::Split(std::string_view text, SpecialTokens special) const {
  std::vector<TextPart> parts;
  size_t plain = 0;  // where the plain text begins that is not in `parts` yet
  for (size_t position = 0; position < text.size();) {
    const Match match = LongestAt(text, position);
    if (match.token == kNone) {
      ++position;
      continue;
    }
    const AddedToken& token = tokens_[match.token];
    size_t begin = position;
    size_t end = match.end;
    position = match.end;
    if (token.special && special == SpecialTokens::kLiteral) continue;
    if (token.single_word && TouchesWord(text, begin, end)) continue;
    // A token that begins inside blanks which the one before it took has only its rest left.
    begin = std::max(begin, plain);
    end = std::max(end, begin);
    if (token.left_strip) {
      while (begin > plain && IsSpaceAt(text, PreviousChar(text, begin))) {
        begin = PreviousChar(text, begin);
      }
    }
    if (token.right_strip) {
      while (end < text.size() && IsSpaceAt(text, end)) end += CharAt(text, end).length;
    }
    if (plain < begin) parts.push_back({plain, begin, std::nullopt});
    parts.push_back({begin, end, token.id});
    plain = end;
  }
  if (plain < text.size()) parts.push_back({plain, text.size(), std::nullopt});
  return parts;
}

}  // namespace dyad
