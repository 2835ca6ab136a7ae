// kernels/cpu/batch.h.
#include "kernels/cpu/batch.h"

#include <algorithm>

#include "kernels/cpu/narrow_rows.h"

namespace dyad::kernels {
namespace {

constexpr int64_t kWorthSharingRows = 1 << 14;  // floats to pack

int64_t BlocksTogether(const PackedContraction& contraction, const RowSource& source) {
  if (source.mix == nullptr) return contraction.blocks_together();
  return contraction.blocks % kMixedBlocks == 0 ? kMixedBlocks : 1;
}

}  // namespace

bool Mixes(const PackedMix& mix, const PackedContraction& contraction) {
  if (mix.combine != Combine::kAssign || !contraction.is_exact() || contraction.groups != 1 ||
      contraction.sources.size() != 1 || contraction.blocks != mix.to) {
    return false;
  }
  const View& view = contraction.sources[0];
  return contraction.term_depth == mix.width && view.offset == 0 && view.stride == 1 &&
         (view.block == mix.width || mix.to == 1) && contraction.source_width >= mix.to * mix.width;
}

PackedRows PackRows(const PackedContraction& contraction, BlockRange blocks, int64_t rows,
                    const RowSource& source, Scratch& scratch) {
  if (rows == 1 && source.mix == nullptr) {
    const float* const row = RowAsPacked(contraction, blocks, source.rows.data);
    if (row != nullptr) return {row, blocks};
  }
  auto* packed = scratch.Get<float>(ScratchUse::kRows, rows * blocks.count * contraction.depth());
  for (int64_t i = 0; i < RowTileCount(rows); ++i) {
    const RowTile tile = RowTileAt(rows, i);
    if (source.mix == nullptr) {
      PackRowTile(contraction, blocks, source.rows, tile, packed);
    } else {
      PackMixedRows({source.mix, rows, source.rows, {}}, blocks, blocks, tile, packed);
    }
  }
  return {packed, blocks};
}

PackedRows PackAllRows(const PackedContraction& contraction, int64_t rows, const RowSource& source,
                       Workspace& workspace) {
  const BlockRange blocks = contraction.all_blocks();
  const int64_t floats = rows * blocks.count * contraction.depth();
  if (floats < kWorthSharingRows) {
    return PackRows(contraction, blocks, rows, source, workspace.scratch);
  }
  auto* packed = workspace.scratch.Get<float>(ScratchUse::kRows, floats);
  const int64_t together = BlocksTogether(contraction, source);
  const int64_t pieces =
      source.mix == nullptr ? RowPieces(contraction, blocks) : contraction.blocks / together;
  workspace.pool.Run(RowTileCount(rows) * pieces, [&](int64_t task) {
    const RowTile tile = RowTileAt(rows, task / pieces);
    const int64_t piece = task % pieces;
    if (source.mix == nullptr) {
      PackRowPiece(contraction, blocks, source.rows, tile, piece, packed);
    } else {
      PackMixedRows({source.mix, rows, source.rows, {}}, blocks, {piece * together, together}, tile,
                    packed);
    }
  });
  return {packed, blocks};
}

BlockRange BlocksAround(const PackedContraction& contraction, const RowSource& source,
                        int64_t block) {
  const int64_t together = BlocksTogether(contraction, source);
  return {block / together * together, together};
}

namespace {

int64_t PanelCount(std::span<const ContractionJob> jobs) {
  int64_t panels = 0;
  for (const ContractionJob& job : jobs) panels += job.contraction->all_panels().last;
  return panels;
}

int64_t BundleCount(std::span<const ContractionJob> jobs) {
  int64_t bundles = 0;
  for (const ContractionJob& job : jobs) bundles += job.contraction->bundles();
  return bundles;
}

// Whether each thread packs the rows that it needs: then nothing that was packed goes from one
// core's cache to another's, which may take longer than packing. If the threads are so many that
// each would pack almost as much as it multiplies, they share the work.
bool PacksByThread(std::span<const ContractionJob> jobs, const RowSource& source, int threads) {
  constexpr int64_t kLeastProducts = 64;  // for each float that is packed
  const PackedContraction& front = *jobs.front().contraction;
  const int64_t together = BlocksAround(front, source, 0).count;
  const int64_t turns = front.blocks / together;
  const int64_t packed = (turns + threads - 1) / threads * together * front.depth();
  const int64_t products = PanelCount(jobs) * kPanelOutputs * front.depth() / threads;
  return products >= kLeastProducts * packed;
}

void ContractWith(ContractionJob job, PackedRows rows, PanelRange panels, Scratch& scratch) {
  job.rows = rows;
  ContractPanels(job, panels, scratch);
}
void ContractWith(ContractionJob job, const NarrowRows& rows, PanelRange panels, Scratch& scratch) {
  job.narrow = rows;
  ContractPanels(job, panels, scratch);
}

}  // namespace

void RunJobs(std::span<const ContractionJob> jobs, const RowSource& source, Workspace& workspace) {
  ThreadPool& pool = workspace.pool;
  const PackedContraction& front = *jobs.front().contraction;
  const int64_t rows = jobs.front().row_count();
  const int64_t work = rows * PanelCount(jobs) * kPanelOutputs * front.depth();
  const auto run_here = [&](const auto& packed) {
    for (const ContractionJob& job : jobs)
      ContractWith(job, packed, job.contraction->all_panels(), workspace.scratch);
  };
  const bool alone = work < kWorthSharing || pool.threads() == 1;
  if (alone && front.is_exact()) {
    return run_here(PackRows(front, front.all_blocks(), rows, source, workspace.scratch));
  }
  // Threads take bundles of panels, counted through all jobs.
  const auto run_bundles = [&](const auto& rows_for) {
    pool.Run(BundleCount(jobs), [&](int64_t bundle, Worker& worker) {
      auto job = jobs.begin();
      for (; bundle >= job->contraction->bundles(); ++job) bundle -= job->contraction->bundles();
      const PanelRange panels = job->contraction->BundleAt(bundle);
      ContractWith(*job, rows_for(panels.first / job->contraction->panels(), worker), panels,
                   worker.scratch);
    });
  };
  if (!front.is_exact()) {
    const NarrowRows packed =
        PackNarrowRows(front, front.arithmetic, jobs.front().tokens, source.rows, workspace);
    return alone ? run_here(packed) : run_bundles([&](int64_t, Worker&) { return packed; });
  }
  if (!PacksByThread(jobs, source, pool.threads())) {
    const PackedRows packed = PackAllRows(front, rows, source, workspace);
    return run_bundles([&](int64_t, Worker&) { return packed; });
  }
  // What each worker has packed last: the rows for the blocks around some block.
  auto* packed = workspace.scratch.Get<PackedRows>(ScratchUse::kTasks, pool.threads());
  std::fill_n(packed, pool.threads(), PackedRows());
  run_bundles([&](int64_t block, Worker& worker) {
    const BlockRange blocks = BlocksAround(front, source, block);
    PackedRows& mine = packed[worker.index];
    if (mine.data == nullptr || mine.blocks.first != blocks.first) {
      mine = PackRows(front, blocks, rows, source, worker.scratch);
    }
    return mine;
  });
}

}  // namespace dyad::kernels
