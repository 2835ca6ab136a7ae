// kernels/cuda/exact.h: a block of threads owns a tile of outputs by row groups, a thread a few of
// each, all of k.
//
// k comes in slices, term after term. Weights, as they are packed, and x, gathered, are copied to
// shared memory some slices ahead, while one is multiplied.
#include <algorithm>

#include "kernels/cuda/exact.h"
#include "kernels/cuda/exact_copy.cuh"
#include "kernels/cuda/exact_multiply.cuh"

namespace dyad::kernels::cuda {
namespace {

struct Steps {
  ContractArgs of[kMostSteps];
  int end[kMostSteps];  // of the step's blocks of threads, in the grid's x
  int bulk;             // whether the device has bulk copies
};

// Grid:   x = step, block of weights, and tile of its outputs; y = tile of row groups.
// Block:  the warps of the tiling.
// Shared: its slices.
template <typename Tiling>
__global__ void __launch_bounds__(Tiling::kThreads, 1)
    ExactKernel(const __grid_constant__ Steps steps) {
  int step = 0, first = 0;
  while (static_cast<int>(blockIdx.x) >= steps.end[step]) first = steps.end[step++];
  const ContractArgs& p = steps.of[step];
  const int tile = static_cast<int>(blockIdx.x) - first;
  const int turns = (p.panels + Tiling::kPanels - 1) / Tiling::kPanels;
  const Place place = {tile / turns, tile % turns * Tiling::kPanels,
                       static_cast<int64_t>(blockIdx.y) * Tiling::kTileRows};
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const Own own = {warp % Tiling::kOutputWarps * Tiling::kOutputLanes * Tiling::kOwnOutputs +
                       lane % Tiling::kOutputLanes,
                   warp / Tiling::kOutputWarps * Tiling::kRowLanes * Tiling::kOwnRows +
                       lane / Tiling::kOutputLanes};
  unsigned char* const memory = DynamicShared();
  RowStart* const rows = reinterpret_cast<RowStart*>(memory + Tiling::kRowsAt);

  // Weights do not wait for the kernel before, which may still make x.
  LaunchLaterKernel();
  const bool bulk = kHasBulkCopies && steps.bulk != 0;
  Copier<Tiling> copier(p, place, bulk, memory);
  Slice coming, now;
  if (Tiling::Copies()) {
    copier.Begin();
#pragma unroll 1
    for (int i = 0; i < Tiling::kAhead && coming.term < p.terms; ++i) {
      copier.CopyWeights(coming, i);
      coming = coming.Next(p, Tiling::kDepth);
    }
  }
  for (int r = static_cast<int>(threadIdx.x); r < Tiling::kTileRows; r += Tiling::kThreads) {
    const int64_t wanted = place.first_row + r;
    const RowGroup at = RowGroupAt(p, wanted < p.row_groups() ? wanted : p.row_groups() - 1);
    rows[r] = {static_cast<int32_t>(at.row * p.x.stride), static_cast<int32_t>(at.group)};
  }
  __syncthreads();
  WaitForEarlierKernel();
  if (Tiling::Copies()) {
    coming = {};
#pragma unroll 1
    for (int i = 0; i < Tiling::kAhead; ++i) {
      if (coming.term < p.terms) {
        copier.CopyX(coming, i);
        coming = coming.Next(p, Tiling::kDepth);
      }
      CommitCopies();
    }
  }

  Sums<Tiling> sums;
  const int first_output = place.first_panel * 32 + own.output;
  const int64_t first_row = place.first_row + own.row;
  // Where chains are few, what their ends need comes while they run.
  constexpr bool kIsSmall = Tiling::kOwnOutputs * Tiling::kOwnRows <= 8;
  Ending ends[kIsSmall ? Tiling::kOwnOutputs : 1][kIsSmall ? Tiling::kOwnRows : 1] = {};
  if (kIsSmall && Tiling::Multiplies()) {
#pragma unroll
    for (int o = 0; kIsSmall && o < Tiling::kOwnOutputs; ++o) {
#pragma unroll
      for (int r = 0; r < Tiling::kOwnRows; ++r) {
        ends[o][r] = EndingAt<Tiling::kType>(p, place.block, first_row + r * Tiling::kRowLanes,
                                             first_output + o * Tiling::kOutputLanes);
      }
    }
  }
  const bool from_zero = p.start.data == nullptr || Tiling::kType == Element::kInt8;
#pragma unroll
  for (int o = 0; o < Tiling::kOwnOutputs; ++o) {
#pragma unroll
    for (int r = 0; r < Tiling::kOwnRows; ++r) {
      sums[o][r] = from_zero || !Tiling::Multiplies()
                       ? 0.0f
                       : StartAt(p, place.block, first_row + r * Tiling::kRowLanes,
                                 first_output + o * Tiling::kOutputLanes);
    }
  }

  int parity = 0;
  for (int slot = 0; now.term < p.terms;) {
    if (Tiling::Copies()) WaitCopies<Tiling::kAhead - 1>();
    __syncthreads();  // the slice is there for all; all have left the one that is replaced now
    if (Tiling::Copies()) {
      if (coming.term < p.terms) {
        const int replaced = slot == 0 ? Tiling::kAhead : slot - 1;
        copier.CopyWeights(coming, replaced);
        copier.CopyX(coming, replaced);
        coming = coming.Next(p, Tiling::kDepth);
      }
      CommitCopies();
    }
    if (Tiling::Multiplies()) {
      copier.WaitForWeights(slot, parity);
      MultiplySlice<Tiling>(memory + slot * Tiling::kSliceBytes, p.depth - now.k, own, sums);
    }
    now = now.Next(p, Tiling::kDepth);
    if (++slot > Tiling::kAhead) slot = 0, parity ^= 1;
  }
  if (!Tiling::Multiplies()) return;
#pragma unroll
  for (int o = 0; o < Tiling::kOwnOutputs; ++o) {
#pragma unroll
    for (int r = 0; r < Tiling::kOwnRows; ++r) {
      if constexpr (kIsSmall) {
        EndChain<Tiling::kType>(p, ends[o][r], sums[o][r]);
      } else {
        Finish<Tiling::kType>(p, place.block, first_row + r * Tiling::kRowLanes,
                              first_output + o * Tiling::kOutputLanes, sums[o][r]);
      }
    }
  }
}

template <typename Tiling>
void Launch(Runtime& runtime, std::span<const ContractArgs> args) {
  Steps steps = {};
  steps.bulk = runtime.has_bulk_copies() ? 1 : 0;
  int end = 0;
  for (size_t i = 0; i < args.size(); ++i) {
    end += args[i].blocks * ((args[i].panels + Tiling::kPanels - 1) / Tiling::kPanels);
    steps.of[i] = args[i];
    steps.end[i] = end;
  }
  constexpr int64_t kRows = Tiling::kTileRows;
  const LaunchShape shape = {
      .grid = {static_cast<unsigned>(end),
               static_cast<unsigned>((args[0].row_groups() + kRows - 1) / kRows)},
      .block = {Tiling::kThreads},
      .shared_bytes = Tiling::kSharedBytes};
  runtime.Launch(shape, ExactKernel<Tiling>, steps);
}

// Slices hold about as many bytes whatever the type; at least 16 elements.
template <Element type>
void LaunchTile(Runtime& runtime, std::span<const ContractArgs> args, ExactTile tile) {
  constexpr int kFew = 64 / Vector<type>::kCount;  // vectors of 64 elements
  constexpr int kLong = 128 / Vector<type>::kCount;
  constexpr int kSome = 32 / Vector<type>::kCount;
  if (tile == ExactTile{32, 1})
    return Launch<Tiling<type, 1, 1, 32, 1, 1, 1, kLong, 4>>(runtime, args);
  if (tile == ExactTile{32, 2})
    return Launch<Tiling<type, 1, 2, 32, 1, 1, 1, kLong, 4>>(runtime, args);
  if (tile == ExactTile{32, 4})
    return Launch<Tiling<type, 1, 4, 32, 1, 1, 1, kLong, 4>>(runtime, args);
  if (tile == ExactTile{32, 8})
    return Launch<Tiling<type, 4, 2, 8, 1, 1, 1, kFew, 4>>(runtime, args);
  if (tile == ExactTile{128, 8})
    return Launch<Tiling<type, 4, 2, 8, 4, 1, 2, kSome, 5>>(runtime, args);
  if (tile == ExactTile{128, 16})
    return Launch<Tiling<type, 4, 4, 8, 4, 1, 2, kSome, 4>>(runtime, args);
  if (tile == ExactTile{64, 64})
    return Launch<Tiling<type, 8, 4, 8, 1, 4, 2, kSome, 3>>(runtime, args);
  return Launch<Tiling<type, 8, 8, 8, 2, 2, 0, kSome, 3>>(runtime, args);
}

}  // namespace

ExactTile ChooseExactTile(std::span<const ContractArgs> steps, int multiprocessors) {
  const int64_t rows = steps[0].row_groups();
  const auto tiles = [&](ExactTile tile) {
    int64_t count = 0;
    for (const ContractArgs& step : steps) {
      const int64_t outputs = step.panels * kPanelOutputs;
      count += step.blocks * ((outputs + tile.outputs - 1) / tile.outputs);
    }
    return count * ((rows + tile.rows - 1) / tile.rows);
  };
  if (rows == 1) return {32, 1};
  if (rows == 2) return {32, 2};
  if (rows <= 4) return {32, 4};
  // The largest that leaves each multiprocessor something to choose from.
  ExactTile best = {32, 8};
  for (const ExactTile tile : kExactTiles) {
    if (tile.rows < 8 || tile.rows >= 2 * rows) continue;
    if (5 * tiles(tile) >= 7 * multiprocessors) best = tile;
  }
  return best;
}

void LaunchExact(Runtime& runtime, Element type, std::span<const ContractArgs> steps,
                 ExactTile tile) {
  switch (type) {
    case Element::kFloat32:
      return LaunchTile<Element::kFloat32>(runtime, steps, tile);
    case Element::kBfloat16:
      return LaunchTile<Element::kBfloat16>(runtime, steps, tile);
    case Element::kFloat16:
      return LaunchTile<Element::kFloat16>(runtime, steps, tile);
    case Element::kInt8:
      return LaunchTile<Element::kInt8>(runtime, steps, tile);
  }
}

}  // namespace dyad::kernels::cuda
