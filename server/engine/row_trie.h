// The tokens of one step as a trie: a token after the tokens before it is a node, whatever sequence
// it belongs to, so that sequences with equal beginnings find each other's rows.
//
// A node says which row of the batch computes the token, and which KV page its keys and values are
// in. A token that an earlier step stored has a page and no row: what it predicts is not known any
// more, but the page that it is in can be shared once it is full.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace dyad::engine {

// All tokens before a token: nothing, the beginning of a page in the prefix tree, or a node.
using TriePrefix = uint64_t;
inline constexpr TriePrefix kEmptyPrefix = 0;

// The first `tokens` ids of a page that the prefix tree holds, and all that is before that page.
// tokens in [1, 16].
TriePrefix PrefixInPage(int32_t page, int32_t tokens);

struct RowNode {
  static constexpr int32_t kNoRow = -1;

  int32_t row = kNoRow;
  int32_t page = 0;
};

// Threads: the engine's only. Memory: 64 bytes a node, taken at once and kept. Cost: each call is
// O(1), Clear too.
class RowTrie {
 public:
  explicit RowTrie(int32_t max_nodes);

  void Clear();  // the next step begins

  // The prefix that ends with `id` after `prefix`, if that is a node.
  std::optional<TriePrefix> Find(TriePrefix prefix, int32_t id) const;

  // As Find, and if there was no such node, or one without a row, it is `node` now. REQUIRES: at
  // most max_nodes different ones between two calls of Clear.
  TriePrefix Add(TriePrefix prefix, int32_t id, RowNode node);

  // REQUIRES: `prefix` is what Find or Add gave since the last Clear.
  const RowNode& node(TriePrefix prefix) const;

 private:
  // An open-addressing table of keys; a slot of an older step is free.
  struct Slot {
    TriePrefix prefix = kEmptyPrefix;
    uint64_t step = 0;
    int32_t id = 0;
    int32_t node = 0;
  };

  size_t SlotOf(TriePrefix prefix, int32_t id) const;

  std::vector<Slot> slots_;     // a power of two, at most half of them in use
  std::vector<RowNode> nodes_;  // [max_nodes]
  int32_t count_ = 0;           // of nodes in use
  uint64_t step_ = 1;
};

}  // namespace dyad::engine
