// Byte pair encoding of one word: start from single bytes, always merge the neighbouring pair that
// comes first in the merge list (of equal ones the leftmost), until no neighbours are in the list.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/string_map.h"
#include "server/text/tokenizer.h"
#include "server/text/tokenizer_spec.h"

namespace dyad {

// Immutable; any thread.
class BytePairMerger {
 public:
  // Errors: InvalidArgument naming the merge or entry that the vocabulary lacks, or that is too
  // long, or the first of the entries that no merge makes, if these are many.
  static absl::StatusOr<BytePairMerger> Create(const TokenizerSpec& spec);

  // Appends the tokens of `word`, whose first byte has byte offset `offset` in the text.
  // Cost: one hash look-up if the word is a token, as most are; O(bytes · log bytes) otherwise.
  void Append(std::string_view word, int32_t offset, Encoding& encoding) const;

 private:
  struct Merge {
    uint32_t rank;  // place in the merge list, or kNoRank
    int32_t id;     // what the pair becomes
  };
  static constexpr uint32_t kNoRank = 0xFFFFFFFF;

  // A token of the word so far.
  struct Symbol {
    int32_t id;
    int32_t offset;
  };

  BytePairMerger() = default;
  absl::Status AddMerges(const TokenizerSpec& spec);
  absl::Status AddUnknown(const TokenizerSpec& spec);
  void AddWholeWords(const TokenizerSpec& spec);

  Merge Find(int32_t left, int32_t right) const;
  // Fills `symbols` (as many as the word has bytes) with the word's bytes as tokens; says how many.
  size_t FirstSymbols(std::string_view word, int32_t offset, std::span<Symbol> symbols) const;
  void AppendShort(std::string_view word, int32_t offset, Encoding& encoding) const;
  void AppendLong(std::string_view word, int32_t offset, Encoding& encoding) const;

  std::array<int32_t, 256> byte_ids_;  // token of a single byte, or kNoToken
  int32_t unknown_id_ = kNoToken;
  bool fuse_unknown_ = false;
  std::unordered_map<uint64_t, Merge> merges_;  // left id << 32 | right id
  // Words that are one token, by their bytes: found by running each entry through the merges once.
  StringMap<int32_t> whole_words_;
  size_t longest_whole_word_ = 0;

  static constexpr int32_t kNoToken = -1;
};

}  // namespace dyad
