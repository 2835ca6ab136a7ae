// Attention over a batch: what runs in parallel. The arithmetic is in kernels/cpu/attention.cc.
#include "kernels/cpu/paged_attention.h"

#include <algorithm>

#include "kernels/cpu/attention.h"

namespace dyad::kernels {
namespace {

struct Task {
  int64_t chunk = 0;
  QueryTile tile;
};

// How many heads a task takes. A single query does little work with each key, so what counts is how
// long the pieces are that it reads; more queries want their state in the first cache.
int64_t HeadsPerTask(int64_t queries, int64_t tiles, int64_t heads, const ThreadPool& pool) {
  if (queries > 1) return 1;
  constexpr int64_t kTasksPerThread = 2;
  const int64_t tasks = pool.threads() == 1 ? 1 : kTasksPerThread * pool.threads();
  return std::clamp<int64_t>((tiles * heads + tasks - 1) / tasks, 1, std::min(heads, kTaskHeads));
}

}  // namespace

void PagedAttention(const AttentionShape& shape, const RotaryTable& rotary, const StepInput& step,
                    const QkvRows& qkv, KvLayer kv, Rows out, Workspace& workspace) {
  ThreadPool& pool = workspace.pool;
  const std::span<const AttentionChunk> chunks = step.chunks;
  const AttentionWork work = {shape, rotary, step, qkv, kv, out};
  int64_t tile_count = 0;
  for (const AttentionChunk& chunk : chunks) {
    tile_count += (chunk.tokens + kQueryRows - 1) / kQueryRows;
  }

  // By head, so that sequences which share a page never write it from two threads.
  pool.Run(shape.heads, [&](int64_t head) { StoreKeysAndValues(work, head); });

  auto* tasks = workspace.scratch.Get<Task>(ScratchUse::kTasks, tile_count * shape.heads);
  int64_t task_count = 0;
  for (size_t c = 0; c < chunks.size(); ++c) {
    for (int64_t first = 0; first < chunks[c].tokens; first += kQueryRows) {
      const int64_t queries = std::min(kQueryRows, chunks[c].tokens - first);
      const int64_t together = HeadsPerTask(queries, tile_count, shape.heads, pool);
      for (int64_t head = 0; head < shape.heads; head += together) {
        const int64_t heads = std::min(together, shape.heads - head);
        tasks[task_count++] = {static_cast<int64_t>(c), {first, queries, head, heads}};
      }
    }
  }
  // Later tiles have more keys: starting with them leaves small tasks for the end.
  pool.Run(task_count, [&](int64_t i, Worker& worker) {
    const Task& task = tasks[task_count - 1 - i];
    AttendTile(work, chunks[static_cast<size_t>(task.chunk)], task.tile, worker.scratch);
  });
}

}  // namespace dyad::kernels
