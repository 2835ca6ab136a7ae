// The work of a task in attention over pages: storing keys and values of a head, or a tile of
// queries.
#pragma once

#include <cstdint>

#include "kernels/cpu/aligned_buffer.h"
#include "kernels/cpu/attention_work.h"

namespace dyad::kernels {

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
