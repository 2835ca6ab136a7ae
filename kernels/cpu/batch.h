// Contractions over the rows of a batch: rows are packed by the thread that needs them, or by all
// together.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/cpu/mix.h"
#include "kernels/cpu/operands.h"
#include "kernels/cpu/thread_pool.h"

namespace dyad::kernels {

// The rows of a buffer; or, with a mix, rows of its source, which are mixed while they are packed:
// what the mix makes is nowhere else. REQUIRES, with a mix: Mixes(mix, contraction).
struct RowSource {
  ConstRows rows;
  const PackedMix* mix = nullptr;
};

// Whether the contraction's blocks are those of the mix, as they are.
bool Mixes(const PackedMix& mix, const PackedContraction& contraction);

// Packs all rows for `blocks`, on one thread.
PackedRows PackRows(const PackedContraction& contraction, BlockRange blocks, int64_t rows,
                    const RowSource& source, Scratch& scratch);
// The same for all blocks, on the pool if it pays.
PackedRows PackAllRows(const PackedContraction& contraction, int64_t rows, const RowSource& source,
                       Workspace& workspace);

// The blocks that are packed together with this one.
BlockRange BlocksAround(const PackedContraction& contraction, const RowSource& source,
                        int64_t block);

// Below this many multiply-adds the calling thread is done before another has woken up.
inline constexpr int64_t kWorthSharing = 1 << 17;

// What packing a float costs, in multiply-adds.
inline constexpr int64_t kPackedFloat = 10;

// Runs task(i, scratch) for i < tasks, on the pool if the multiply-adds of all are worth it.
template <typename Task>
void RunTasks(int64_t tasks, int64_t work, Workspace& workspace, const Task& task) {
  if (work < kWorthSharing || workspace.pool.threads() == 1) {
    for (int64_t i = 0; i < tasks; ++i) task(i, workspace.scratch);
    return;
  }
  workspace.pool.Run(tasks, [&](int64_t i, Worker& worker) { task(i, worker.scratch); });
}

// Runs jobs as yet without rows: those of the source serve all of them. REQUIRES: they are packed
// alike.
void RunJobs(std::span<const ContractionJob> jobs, const RowSource& source, Workspace& workspace);

}  // namespace dyad::kernels
