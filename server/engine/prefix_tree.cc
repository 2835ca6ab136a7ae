// Keys are compared in full; see the header for why that is exact.
#include "server/engine/prefix_tree.h"

#include <algorithm>

namespace dyad::engine {

PrefixTree::PrefixTree(PagePool& pool)
    : pool_(pool), nodes_(pool.total()), pages_(0, Hash{&nodes_}, Equal{&nodes_}) {
  // Twice: with room for as many erased ones it never grows. Abseil's tables are broken where that
  // finds no memory.
  pages_.reserve(2 * static_cast<size_t>(pool.total()));
}

uint64_t PrefixTree::KeyHash(NodeId parent, PageIds ids) {
  // Multiply and fold, two ids at a time.
  uint64_t hash = (parent + 1) * 0x9e3779b97f4a7c15;
  for (int32_t i = 0; i < kPageTokens; i += 2) {
    const uint64_t two =
        uint64_t{static_cast<uint32_t>(ids[i])} << 32 | static_cast<uint32_t>(ids[i + 1]);
    hash = (hash ^ two) * 0xbf58476d1ce4e5b9;
    hash ^= hash >> 29;
  }
  return hash;
}

bool PrefixTree::Equal::operator()(int32_t page, const Key& key) const {
  const Node& node = (*nodes)[page];
  return node.parent == key.parent && std::equal(node.ids.begin(), node.ids.end(), key.ids.begin());
}

std::optional<CachedPage> PrefixTree::Find(NodeId parent, PageIds ids) const {
  const auto found = pages_.find(Key{parent, ids});
  if (found == pages_.end()) return std::nullopt;
  return CachedPage{*found, nodes_[*found].node};
}

CachedPage PrefixTree::Insert(NodeId parent, PageIds ids, int32_t page, const PageScores& scores) {
  if (const std::optional<CachedPage> found = Find(parent, ids)) {
    PageScores& known = nodes_[found->page].scores;
    for (int32_t slot = 0; slot < kPageTokens; ++slot) {
      if (known[slot].rank == 0) known[slot] = scores[slot];
      if (known[slot].best.id < 0) known[slot].best = scores[slot].best;
    }
    if (found->page != page) {
      // Both hold the same bits. One copy is enough, and whoever holds a child then holds the
      // parent that it is found by, so that parents are reclaimed after their children.
      pool_.Hold(found->page);
      pool_.Release(page);
    }
    return *found;
  }
  Node& node = nodes_[page];
  node.node = ++last_node_;
  node.parent = parent;
  std::copy(ids.begin(), ids.end(), node.ids.begin());
  node.scores = scores;
  pages_.insert(page);
  pool_.Keep(page);
  return {page, node.node};
}

int32_t PrefixTree::Take() {
  const int32_t page = pool_.Take();
  if (nodes_[page].node != kRootNode) {
    pages_.erase(page);
    nodes_[page].node = kRootNode;
  }
  return page;
}

void PrefixTree::Clear() {
  for (const int32_t page : pages_) {
    nodes_[page].node = kRootNode;
    pool_.Forget(page);
  }
  pages_.clear();
}

}  // namespace dyad::engine
