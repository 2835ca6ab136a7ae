// The work of a task in attention over pages: storing keys and values of a head, or a tile of
// queries.
#pragma once

#include <cstdint>

#include "kernels/cpu/aligned_buffer.h"
#include "kernels/cpu/kv_layout.h"

namespace dyad::kernels {

inline constexpr int64_t kQueryRows = 6;   // queries that share the loads of a page
inline constexpr int64_t kTaskHeads = 16;  // heads that one task goes through together at most
inline constexpr int64_t kSoftmaxPages =
    4;  // pages between two rescalings; at whole multiples of it
inline constexpr int64_t kSoftmaxKeys = kSoftmaxPages * kPageTokens;

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
void StoreKeysAndValues(const AttentionWork& work, int64_t head);

// Tokens [first, first + count) of a chunk, count in [1, kQueryRows], in heads [first_head,
// first_head + heads), heads in [1, kTaskHeads].
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
