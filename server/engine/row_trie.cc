// Linear probing in a table that never fills.
#include "server/engine/row_trie.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include "server/engine/model.h"

namespace dyad::engine {
namespace {

// Prefixes are even for nodes, odd for pages, and 0 for the empty one.
constexpr TriePrefix PrefixOfNode(int32_t node) { return (static_cast<TriePrefix>(node) + 1) * 2; }
constexpr int32_t NodeOf(TriePrefix prefix) { return static_cast<int32_t>(prefix / 2 - 1); }

}  // namespace

TriePrefix PrefixInPage(int32_t page, int32_t tokens) {
  return (static_cast<TriePrefix>(page) * kPageTokens + static_cast<TriePrefix>(tokens - 1)) * 2 +
         1;
}

RowTrie::RowTrie(int32_t max_nodes)
    : slots_(std::bit_ceil(2 * static_cast<size_t>(std::max(1, max_nodes)))), nodes_(max_nodes) {}

void RowTrie::Clear() {
  ++step_;
  count_ = 0;
}

// Where the key is, or the free slot where it would be.
size_t RowTrie::SlotOf(TriePrefix prefix, int32_t id) const {
  uint64_t hash = (prefix * 0x9e3779b97f4a7c15) ^ (static_cast<uint32_t>(id) * 0xbf58476d1ce4e5b9);
  hash = (hash ^ (hash >> 32)) * 0x94d049bb133111eb;
  size_t at = hash >> 32;
  for (;; ++at) {
    at &= slots_.size() - 1;
    const Slot& slot = slots_[at];
    if (slot.step != step_ || (slot.prefix == prefix && slot.id == id)) return at;
  }
}

std::optional<TriePrefix> RowTrie::Find(TriePrefix prefix, int32_t id) const {
  const Slot& slot = slots_[SlotOf(prefix, id)];
  if (slot.step != step_) return std::nullopt;
  return PrefixOfNode(slot.node);
}

TriePrefix RowTrie::Add(TriePrefix prefix, int32_t id, RowNode node) {
  Slot& slot = slots_[SlotOf(prefix, id)];
  if (slot.step != step_) {
    assert(count_ < static_cast<int32_t>(nodes_.size()));
    slot = {.prefix = prefix, .step = step_, .id = id, .node = count_};
    nodes_[count_++] = node;
  } else if (nodes_[slot.node].row == RowNode::kNoRow) {
    nodes_[slot.node] = node;
  }
  return PrefixOfNode(slot.node);
}

const RowNode& RowTrie::node(TriePrefix prefix) const { return nodes_[NodeOf(prefix)]; }

}  // namespace dyad::engine
