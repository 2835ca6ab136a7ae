// The prefix cache: full pages of KV, found again by the ids that they and all pages before them
// hold.
//
// A page is a node; its key is its parent node's number and its own 16 ids, compared in full.
// Numbers are never used twice, so a key names one exact prefix: a hash collision costs a
// comparison, never a wrong result. Beside the KV a page keeps what scoring found for its tokens
// and the likeliest in their places, so that scores are answered from it too.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "server/engine/model.h"
#include "server/engine/page_pool.h"

namespace dyad::engine {

// A prefix of whole pages; kRootNode is the empty one.
using NodeId = uint64_t;
inline constexpr NodeId kRootNode = 0;

using PageIds = std::span<const int32_t, kPageTokens>;

// The score of the token in one slot of a page, given all ids before it.
struct SlotScore {
  float logprob = 0;
  int32_t rank = 0;                          // 0: not known
  TopToken best = {.id = -1, .logprob = 0};  // the likeliest token there; id -1: not known
};
using PageScores = std::array<SlotScore, kPageTokens>;

struct CachedPage {
  int32_t page = 0;
  NodeId node = kRootNode;  // the prefix up to and with this page
};

// Threads: the engine's only. Cost: Find and Insert hash and compare one page of ids.
// Memory: about 380 bytes a page of the pool, taken at once.
class PrefixTree {
 public:
  explicit PrefixTree(PagePool& pool);

  // The page that holds `ids` after the prefix `parent`. Does not hold it.
  std::optional<CachedPage> Find(NodeId parent, PageIds ids) const;

  const PageScores& scores(int32_t page) const { return nodes_[page].scores; }

  // Offers a full page of which the caller is a holder. If the tree has such a page already, the
  // caller holds that one instead of its own from now on, and its scores are filled in. Returns the
  // page that the caller holds.
  CachedPage Insert(NodeId parent, PageIds ids, int32_t page, const PageScores& scores);

  // pool.Take(), and what the page held before can be found no more.
  int32_t Take();

  void Clear();  // nothing can be found any more; idle pages become free

  // A hash of a key; equal keys give equal values.
  static uint64_t KeyHash(NodeId parent, PageIds ids);

 private:
  struct Node {
    NodeId node = kRootNode;  // kRootNode: the page is not in the tree
    NodeId parent = kRootNode;
    std::array<int32_t, kPageTokens> ids = {};
    PageScores scores;
  };
  struct Key {
    NodeId parent;
    PageIds ids;
  };
  // The set holds page numbers and looks through them at the nodes.
  struct Hash {
    using is_transparent = void;
    const std::vector<Node>* nodes;
    size_t operator()(const Key& key) const { return KeyHash(key.parent, key.ids); }
    size_t operator()(int32_t page) const {
      return KeyHash((*nodes)[page].parent, (*nodes)[page].ids);
    }
  };
  struct Equal {
    using is_transparent = void;
    const std::vector<Node>* nodes;
    bool operator()(int32_t a, int32_t b) const { return a == b; }
    bool operator()(int32_t page, const Key& key) const;
  };

  PagePool& pool_;
  std::vector<Node> nodes_;  // [pages]
  absl::flat_hash_set<int32_t, Hash, Equal> pages_;
  NodeId last_node_ = kRootNode;
};

}  // namespace dyad::engine
