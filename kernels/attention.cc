// Attention over a batch: what runs in parallel. The arithmetic is in kernels/cpu/attention.cc.
#include "kernels/attention.h"

#include <algorithm>

#include "kernels/cpu/aligned_buffer.h"
#include "kernels/cpu/attention.h"

namespace dyad::kernels {
namespace {

struct BlockOfChunk {
  int64_t chunk = 0;
  QueryBlock queries;
};

}  // namespace

int64_t KvPageFloats(const AttentionShape& shape) {
  return shape.heads * kPageTokens * (shape.head_size + PaddedHeadSize(shape));
}

void PagedAttention(const AttentionShape& shape, const RotaryTable& rotary,
                    const AttentionWork& work, const QkvRows& qkv, KvLayer kv, Rows out,
                    ThreadPool& pool) {
  const std::span<const AttentionChunk> chunks = work.chunks;
  const AttentionCall call = {shape, rotary, qkv, kv, out};
  int64_t block_count = 0;
  for (const AttentionChunk& chunk : chunks) {
    block_count += (chunk.tokens + kQueryRows - 1) / kQueryRows;
  }

  // By head, so that sequences which share a page never write it from two threads.
  pool.Run(shape.heads, [&](int64_t head) {
    for (const AttentionChunk& chunk : chunks) StoreKeysAndValues(call, chunk, head);
    for (const AttentionChunk& store : work.stores) StoreKeysAndValues(call, store, head);
  });

  auto* blocks = reinterpret_cast<BlockOfChunk*>(
      ThreadScratch(ScratchUse::kTasks, block_count * static_cast<int64_t>(sizeof(BlockOfChunk))));
  BlockOfChunk* next = blocks;
  for (size_t c = 0; c < chunks.size(); ++c) {
    for (int64_t first = 0; first < chunks[c].tokens; first += kQueryRows) {
      *next++ = {static_cast<int64_t>(c), {first, std::min(kQueryRows, chunks[c].tokens - first)}};
    }
  }
  // Later blocks have more keys: starting with them leaves small tasks for the end.
  pool.Run(block_count * shape.heads, [&](int64_t task) {
    const BlockOfChunk& block = blocks[block_count - 1 - task / shape.heads];
    AttendBlock(call, chunks[static_cast<size_t>(block.chunk)], block.queries, task % shape.heads);
  });
}

}  // namespace dyad::kernels
