// The work of a task in attention over pages: storing keys and values of a head, or a tile of
// queries.
#pragma once

#include <cstdint>

#include "kernels/cpu/aligned_buffer.h"
#include "kernels/cpu/kv_layout.h"

namespace dyad::kernels {

// Queries that share a group of keys in the first cache; whole vectors on every target.
inline constexpr int64_t kQueryRows = 48;
inline constexpr int64_t kTaskHeads = 16;  // heads that a task of one query goes through at most

// T: what the layer's KvType says.
template <typename T>
struct PageView {
  const AttentionShape& shape;
  KvLayer kv;

  T* keys(int64_t page, int64_t head) const {
    return reinterpret_cast<T*>(kv.data + page * KvPageBytes(shape, kv.type)) +
           head * shape.head_size * kPageTokens;
  }
  T* values(int64_t page, int64_t head) const {
    return keys(page, shape.heads) + head * PaddedHeadSize(shape) * kPageTokens;
  }
};

// What one run of PagedAttention is about.
struct AttentionWork {
  const AttentionShape& shape;
  const RotaryTable& rotary;
  const StepInput& step;
  const QkvRows& qkv;
  KvLayer kv;
  Rows out;
};

// Stores keys (rotated) and values of one head for every row of the step, in all its slots.
// Scratch: kRows.
void StoreKeysAndValues(const AttentionWork& work, int64_t head, Scratch& scratch);

// Tokens [first, first + count) of a chunk, count in [1, kQueryRows], in heads [first_head,
// first_head + heads); heads in [1, kTaskHeads], and 1 where there are several tokens.
struct QueryTile {
  int64_t first = 0;
  int64_t count = 0;
  int64_t first_head = 0;
  int64_t heads = 0;
};
// Out of a page's memory the tile reads the keys of its heads as one piece, and then their values.
// Scratch: kPartials.
void AttendTile(const AttentionWork& work, const AttentionChunk& chunk, QueryTile tile,
                Scratch& scratch);

}  // namespace dyad::kernels
