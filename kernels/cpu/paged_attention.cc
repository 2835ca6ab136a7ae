// Attention over a batch: what runs in parallel. The arithmetic is in kernels/cpu/attention.cc.
#include "kernels/cpu/paged_attention.h"

#include <algorithm>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/even_parts.h"

namespace dyad::kernels {
namespace {

struct Task {
  int64_t chunk = 0;
  QueryTile tile;
};

constexpr int64_t kTasksPerThread = 4;

// How many queries a task takes at most: each tile reads all keys before it, so few tiles are fast,
// but there must be enough for all threads.
int64_t TileRows(int64_t rows, int64_t heads, const ThreadPool& pool) {
  constexpr int64_t kFewRows = 12;
  if (pool.threads() == 1) return kQueryRows;
  return std::clamp(rows * heads / (kTasksPerThread * pool.threads()), kFewRows, kQueryRows);
}

// How many heads a task takes. A single query does little work with each key, so what counts is how
// long the pieces are that it reads; more queries want their state in the first cache.
int64_t HeadsPerTask(int64_t tokens, int64_t tiles, int64_t heads, const ThreadPool& pool) {
  if (tokens > 1) return 1;
  const int64_t tasks = pool.threads() == 1 ? 1 : kTasksPerThread / 2 * pool.threads();
  return std::clamp<int64_t>((tiles * heads + tasks - 1) / tasks, 1, std::min(heads, kTaskHeads));
}

}  // namespace

void PagedAttention(const AttentionShape& shape, const RotaryTable& rotary, const StepInput& step,
                    const QkvRows& qkv, KvLayer kv, Rows out, Workspace& workspace) {
  ThreadPool& pool = workspace.pool;
  const std::span<const AttentionChunk> chunks = step.chunks;
  const AttentionWork work = {shape, rotary, step, qkv, kv, out};
  const auto rows = static_cast<int64_t>(step.slots.size());
  const int64_t tile_rows = TileRows(rows, shape.heads, pool);
  const auto tiles_of = [&](const AttentionChunk& chunk) {
    return PartCount(chunk.tokens, tile_rows);
  };
  int64_t tile_count = 0;
  for (const AttentionChunk& chunk : chunks) tile_count += tiles_of(chunk);

  // By head, so that sequences which share a page never write it from two threads.
  pool.Run(shape.heads,
           [&](int64_t head, Worker& worker) { StoreKeysAndValues(work, head, worker.scratch); });

  auto* tasks = workspace.scratch.Get<Task>(ScratchUse::kTasks, tile_count * shape.heads);
  int64_t task_count = 0;
  for (size_t c = 0; c < chunks.size(); ++c) {
    const int64_t tokens = chunks[c].tokens, tiles = tiles_of(chunks[c]);
    const int64_t together = HeadsPerTask(tokens, tile_count, shape.heads, pool);
    for (int64_t head = 0; head < shape.heads; head += together) {
      const int64_t heads = std::min(together, shape.heads - head);
      for (int64_t tile = 0; tile < tiles; ++tile) {
        const Part part = PartAt(tokens, tiles, tile);
        tasks[task_count++] = {static_cast<int64_t>(c), {part.first, part.count, head, heads}};
      }
    }
  }
  // Head by head, whose keys and values stay in the second cache. Later tiles have more keys:
  // starting with them leaves small tasks for the end.
  pool.Run(task_count, [&](int64_t i, Worker& worker) {
    const Task& task = tasks[task_count - 1 - i];
    AttendTile(work, chunks[static_cast<size_t>(task.chunk)], task.tile, worker.scratch);
  });
}

}  // namespace dyad::kernels
