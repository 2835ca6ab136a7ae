// kernels/cuda/exact.h: a block of threads owns a tile of outputs by row groups, a thread a few of
// each, all of k.
//
// k comes in slices, term after term. Weights, as they are packed, and x, gathered, are copied to
// shared memory some slices ahead, while one is multiplied.
#include <algorithm>

#include "kernels/cuda/contract.cuh"
#include "kernels/cuda/exact.h"

namespace dyad::kernels::cuda {
namespace {

struct Steps {
  ContractArgs of[kMostSteps];
  int end[kMostSteps + 1];  // of the step's blocks of threads, in the grid's x
};

// A thread owns kOutputs outputs, kLanes apart, by kRows rows, 32 / kLanes apart. Its warp stands
// in a block of kWarps by kRowWarps warps. Beside these stand kCopyWarps that copy for them; where
// there are none, all copy and multiply.
template <Element type, int kOutputs, int kRows, int kLanes, int kWarps, int kRowWarps,
          int kCopyWarps, int kSliceVectors, int kSlices>
struct Tiling {
  static constexpr Element kType = type;
  static constexpr int kOwnOutputs = kOutputs, kOwnRows = kRows;
  static constexpr int kOutputLanes = kLanes, kRowLanes = 32 / kLanes;
  static constexpr int kMultipliers = 32 * kWarps * kRowWarps;
  static constexpr int kThreads = kMultipliers + 32 * kCopyWarps;
  static constexpr int kCopiers = kCopyWarps > 0 ? 32 * kCopyWarps : kThreads;
  static constexpr int kOutputWarps = kWarps;
  static constexpr int kTileOutputs = kWarps * kLanes * kOutputs;
  static constexpr int kTileRows = kRowWarps * kRowLanes * kRows;
  static constexpr int kPanels = kTileOutputs / static_cast<int>(kPanelOutputs);
  static constexpr int kCount = Vector<type>::kCount;
  // A slice: kVectors of an output, kDepth elements of a row.
  static constexpr int kVectors = kSliceVectors, kDepth = kVectors * kCount;
  static constexpr int kAhead = kSlices - 1;
  // Rows of x lie side by side, four elements of each; an odd pitch spreads them over banks.
  static constexpr int kPitch = kTileRows | 1;
  static constexpr int kWeightBytes = kVectors * kTileOutputs * 16;
  static constexpr int kSliceBytes = kWeightBytes + kDepth / 4 * kPitch * 16;
  static constexpr int kSlicesBytes = kSlices * kSliceBytes;
  static constexpr int kSharedBytes = kSlicesBytes + kTileRows * 8;
  static_assert(kSharedBytes <= 99 << 10 && kPanels * kPanelOutputs == kTileOutputs);

  static __device__ __forceinline__ bool Multiplies() {
    return kCopyWarps == 0 || threadIdx.x < kMultipliers;
  }
  static __device__ __forceinline__ bool Copies() {
    return kCopyWarps == 0 || threadIdx.x >= kMultipliers;
  }
  // Among those that copy.
  static __device__ __forceinline__ int Copier() {
    return static_cast<int>(threadIdx.x) - (kThreads - kCopiers);
  }
};

struct Place {
  int block, first_panel;
  int64_t first_row;
};

// A slice: its term, and where in it.
struct Slice {
  int term = 0, k = 0;

  __device__ __forceinline__ Slice Next(const ContractArgs& p, int depth) const {
    return k + depth < p.depth ? Slice{term, k + depth} : Slice{term + 1, 0};
  }
};

// Where a row group begins in x, and its group. In shared memory.
struct RowStart {
  int32_t at, group;
};

// What a thread copies: weights of some panels, every vector or every kShare-th; of x, one place in
// each row that it copies.
template <typename Tiling>
class Copier {
 public:
  __device__ __forceinline__ Copier(const ContractArgs& p, const Place& place,
                                    unsigned char* memory)
      : p_(p), place_(place), memory_(SharedAddress(memory)) {
    rows_ = reinterpret_cast<const RowStart*>(memory + Tiling::kSlicesBytes);
    const int warp = Tiling::Copier() / 32, lane = Tiling::Copier() % 32;
    const int panel = warp / kShare * kOwn;
    first_ = warp % kShare;
    to_ = (first_ * Tiling::kTileOutputs + panel * 32 + lane) * 16;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const int64_t at = static_cast<int64_t>(place.block) * p.panels +
                         min(place.first_panel + panel + i, p.panels - 1);
      from_[i] =
          static_cast<const uint4*>(p.weights) + at * p.terms * p.vectors * 32 + first_ * 32 + lane;
    }
  }

  __device__ __forceinline__ void CopyWeights(Slice slice, int slot) const {
    const int vector = slice.k / Tiling::kCount;
    const int left = p_.vectors - vector - first_;
    const int skip = (slice.term * p_.vectors + vector) * 32;
    const Shared into = memory_ + slot * Tiling::kSliceBytes + to_;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const uint4* const from = from_[i] + skip;
      if (left >= Tiling::kVectors && Tiling::kVectors % kShare == 0) {
#pragma unroll
        for (int v = 0; v < Tiling::kVectors; v += kShare) CopyVector(into, from, i, v);
      } else {
        const int end = min(left, Tiling::kVectors - first_);
        for (int v = 0; v < end; v += kShare) CopyVector(into, from, i, v);
      }
    }
  }

  __device__ __forceinline__ void CopyX(Slice slice, int slot) {
    if (slice.term != term_) Turn(slice.term);
    const Shared into = memory_ + slot * Tiling::kSliceBytes + Tiling::kWeightBytes;
    if (by_words_) {
      CopyRows<4>(slice.k, into);
    } else {
      CopyRows<1>(slice.k, into);
    }
  }

 private:
  static constexpr int kWarps = Tiling::kCopiers / 32;
  static constexpr int kShare = kWarps > Tiling::kPanels ? kWarps / Tiling::kPanels : 1;
  static constexpr int kOwn = kWarps > Tiling::kPanels ? 1 : Tiling::kPanels / kWarps;

  static __device__ __forceinline__ void CopyVector(Shared into, const uint4* from, int panel,
                                                    int v) {
    CopyAsync16(into + (v * Tiling::kTileOutputs + panel * 32) * 16, from + v * 32, true);
  }

  // To the sources of a term.
  __device__ __forceinline__ void Turn(int term) {
    term_ = term;
    View view;
    if (p_.terms <= kNearTerms) {
      view = p_.near_sources[term];
    } else {
      view = p_.sources[term];
    }
    begin_ = static_cast<int>(view.At(place_.block, 0, 0));
    group_ = static_cast<int>(view.group);
    stride_ = static_cast<int>(view.stride);
    by_words_ = view.stride == 1 && p_.depth % 4 == 0 &&
                view.At(place_.block, p_.groups - 1, p_.depth - 1) < p_.x_width &&
                (view.offset | view.block | view.group | p_.x.stride) % 4 == 0 &&
                reinterpret_cast<uintptr_t>(p_.x.data) % 16 == 0;
  }

  // kWidth elements at a time, of the slice that begins at `k` of the term.
  template <int kWidth>
  __device__ __forceinline__ void CopyRows(int slice_k, Shared into) const {
    constexpr int kChunks = Tiling::kDepth / kWidth;  // of a row
    constexpr int kMany = kChunks * Tiling::kTileRows;
    const int copier = Tiling::Copier(), left = p_.depth - slice_k;
    const int begin = begin_ + slice_k * stride_, width = static_cast<int>(p_.x_width);
#pragma unroll 4
    for (int i = 0; i < kMany; i += Tiling::kCopiers) {
      const int r = (i + copier) / kChunks, k = (i + copier) % kChunks * kWidth;
      if (k >= left || (kMany % Tiling::kCopiers != 0 && i + copier >= kMany)) continue;
      const RowStart row = rows_[r];
      const int index = begin + row.group * group_ + k * stride_;
      const Shared to = into + (k / 4 * Tiling::kPitch + r) * 16 + k % 4 * 4;
      if constexpr (kWidth == 4) {
        CopyAsync16(to, p_.x.data + (row.at + index), true);
      } else {
        const bool inside = index < width;
        CopyAsync4(to, p_.x.data + (row.at + (inside ? index : 0)), inside);
      }
    }
  }

  const ContractArgs& p_;
  const Place& place_;
  const Shared memory_;
  const RowStart* rows_;
  const uint4* from_[kOwn];
  int first_, to_;  // vector; bytes from a slice's begin
  int term_ = -1;   // and what belongs to it:
  int begin_ = 0, group_ = 0, stride_ = 0;
  bool by_words_ = false;
};

template <typename Tiling>
using Sums = float[Tiling::kOwnOutputs][Tiling::kOwnRows];

// Which of the tile's outputs and rows are the first of this thread.
struct Own {
  int output, row;
};

// Multiplies kMany vectors from v on with as many elements of each row, in order.
template <typename Tiling, int kMany>
__device__ __forceinline__ void MultiplyVectors(const unsigned char* slice, int v, Own own,
                                                Sums<Tiling>& sums) {
  const uint4* const ws = reinterpret_cast<const uint4*>(slice) + own.output;
  const float4* const xs = reinterpret_cast<const float4*>(slice + Tiling::kWeightBytes) + own.row;
#pragma unroll
  for (int i = 0; i < kMany; ++i) {
    uint4 raw[Tiling::kOwnOutputs];
#pragma unroll
    for (int o = 0; o < Tiling::kOwnOutputs; ++o) {
      raw[o] = ws[(v + i) * Tiling::kTileOutputs + o * Tiling::kOutputLanes];
    }
#pragma unroll
    for (int part = 0; part < Tiling::kCount / 4; ++part) {
      float x[Tiling::kOwnRows][4];
#pragma unroll
      for (int r = 0; r < Tiling::kOwnRows; ++r) {
        const float4 four =
            xs[((v + i) * (Tiling::kCount / 4) + part) * Tiling::kPitch + r * Tiling::kRowLanes];
        x[r][0] = four.x, x[r][1] = four.y, x[r][2] = four.z, x[r][3] = four.w;
      }
#pragma unroll
      for (int k = 0; k < 4; ++k) {
#pragma unroll
        for (int o = 0; o < Tiling::kOwnOutputs; ++o) {
          const float w = Vector<Tiling::kType>::At(raw[o], part * 4 + k);
#pragma unroll
          for (int r = 0; r < Tiling::kOwnRows; ++r) {
            sums[o][r] = std::fma(x[r][k], w, sums[o][r]);
          }
        }
      }
    }
  }
}

// The same for `count` elements of vector v: the end of a term. A zero more would turn a sum of
// -0 into +0.
template <typename Tiling>
__device__ __forceinline__ void MultiplyPart(const unsigned char* slice, int v, int count, Own own,
                                             Sums<Tiling>& sums) {
  const uint4* const ws = reinterpret_cast<const uint4*>(slice) + own.output;
  const float* const xs =
      reinterpret_cast<const float*>(slice + Tiling::kWeightBytes) + own.row * 4;
#pragma unroll 1
  for (int k = 0; k < count; ++k) {
#pragma unroll
    for (int o = 0; o < Tiling::kOwnOutputs; ++o) {
      const uint4* const at = ws + v * Tiling::kTileOutputs + o * Tiling::kOutputLanes;
      const float w = Vector<Tiling::kType>::ElementAt(at, k);
#pragma unroll
      for (int r = 0; r < Tiling::kOwnRows; ++r) {
        const int element = v * Tiling::kCount + k;
        const float x =
            xs[(element / 4 * Tiling::kPitch + r * Tiling::kRowLanes) * 4 + element % 4];
        sums[o][r] = std::fma(x, w, sums[o][r]);
      }
    }
  }
}

// `count` elements of a slice.
template <typename Tiling>
__device__ __forceinline__ void MultiplySlice(const unsigned char* slice, int count, Own own,
                                              Sums<Tiling>& sums) {
  if (count >= Tiling::kDepth) {
    MultiplyVectors<Tiling, Tiling::kVectors>(slice, 0, own, sums);
    return;
  }
  const int whole = count / Tiling::kCount;
  int v = 0;
  for (; v + 2 <= whole; v += 2) MultiplyVectors<Tiling, 2>(slice, v, own, sums);
  if (v < whole) MultiplyVectors<Tiling, 1>(slice, v, own, sums);
  MultiplyPart<Tiling>(slice, whole, count % Tiling::kCount, own, sums);
}

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
  RowStart* const rows = reinterpret_cast<RowStart*>(memory + Tiling::kSlicesBytes);

  // Weights do not wait for the kernel before, which may still make x.
  LaunchLaterKernel();
  Copier<Tiling> copier(p, place, memory);
  Slice coming, now;
  if (Tiling::Copies()) {
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

  for (int slot = 0; now.term < p.terms; slot = slot == Tiling::kAhead ? 0 : slot + 1) {
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
      MultiplySlice<Tiling>(memory + slot * Tiling::kSliceBytes, p.depth - now.k, own, sums);
    }
    now = now.Next(p, Tiling::kDepth);
  }
  if (!Tiling::Multiplies()) return;
#pragma unroll
  for (int o = 0; o < Tiling::kOwnOutputs; ++o) {
#pragma unroll
    for (int r = 0; r < Tiling::kOwnRows; ++r) {
      Finish<Tiling::kType>(p, place.block, first_row + r * Tiling::kRowLanes,
                            first_output + o * Tiling::kOutputLanes, sums[o][r]);
    }
  }
}

template <typename Tiling>
void Launch(Runtime& runtime, std::span<const ContractArgs> args) {
  Steps steps = {};
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
  constexpr int kFew = 64 / Vector<type>::kCount;            // vectors of 64 elements
  constexpr int kLong = type == Element::kFloat32 ? 16 : 8;  // vectors where rows are few
  constexpr int kSome = 32 / Vector<type>::kCount;
  constexpr int kFewest = 16 / Vector<type>::kCount;
  if (tile == ExactTile{32, 1})
    return Launch<Tiling<type, 1, 1, 32, 1, 1, 1, kLong, 5>>(runtime, args);
  if (tile == ExactTile{32, 2})
    return Launch<Tiling<type, 1, 2, 32, 1, 1, 1, kLong, 5>>(runtime, args);
  if (tile == ExactTile{32, 4})
    return Launch<Tiling<type, 1, 4, 32, 1, 1, 1, kLong, 5>>(runtime, args);
  if (tile == ExactTile{32, 8})
    return Launch<Tiling<type, 4, 2, 8, 1, 1, 1, kFew, 4>>(runtime, args);
  if (tile == ExactTile{128, 8})
    return Launch<Tiling<type, 4, 2, 8, 4, 1, 2, kSome, 5>>(runtime, args);
  if (tile == ExactTile{32, 16})
    return Launch<Tiling<type, 4, 4, 8, 1, 1, 1, kFew, 4>>(runtime, args);
  if (tile == ExactTile{128, 16})
    return Launch<Tiling<type, 4, 4, 8, 4, 1, 2, kSome, 4>>(runtime, args);
  if (tile == ExactTile{64, 32})
    return Launch<Tiling<type, 4, 4, 8, 2, 2, 2, kSome, 3>>(runtime, args);
  if (tile == ExactTile{64, 64})
    return Launch<Tiling<type, 8, 4, 8, 1, 4, 2, kSome, 3>>(runtime, args);
  if (tile == ExactTile{128, 64})
    return Launch<Tiling<type, 8, 8, 8, 2, 2, 0, kSome, 3>>(runtime, args);
  return Launch<Tiling<type, 8, 8, 8, 2, 4, 0, kFewest, 3>>(runtime, args);
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
  ExactTile best = {32, 8};
  for (const ExactTile tile : kExactTiles) {
    if (tile.rows >= 8 && tile.rows < 2 * rows && tiles(tile) >= multiprocessors) best = tile;
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
