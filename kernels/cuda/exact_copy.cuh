// How kernels/cuda/exact.cu cuts a step into tiles and slices, and brings slices to shared memory.
#pragma once

#include <cstdint>

#include "kernels/cuda/contract.cuh"

namespace dyad::kernels::cuda {

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
  // After the slices: where rows begin, and a barrier for each slice.
  static constexpr int kRowsAt = kSlicesBytes, kBarriersAt = kRowsAt + kTileRows * 8;
  static constexpr int kSharedBytes = kBarriersAt + kSlices * 8;
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
// each row that it copies. With bulk copies one thread brings all weights, by panels, and each
// slice has a barrier that counts their bytes.
template <typename Tiling>
class Copier {
 public:
  __device__ __forceinline__ Copier(const ContractArgs& p, const Place& place, bool bulk,
                                    unsigned char* memory)
      : p_(p), place_(place), bulk_(bulk), memory_(SharedAddress(memory)) {
    rows_ = reinterpret_cast<const RowStart*>(memory + Tiling::kRowsAt);
    const int warp = Tiling::Copier() / 32, lane = Tiling::Copier() % 32;
    const int panel = bulk ? 0 : warp / kShare * kOwn;
    first_ = bulk ? 0 : warp % kShare;
    to_ = ((panel * Tiling::kVectors + first_) * 32 + lane) * 16;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) from_[i] = PanelAt(panel + i) + first_ * 32 + lane;
  }

  // The barriers; by the thread that counts on them.
  __device__ __forceinline__ void Begin() const {
    if (!bulk_ || Tiling::Copier() != 0) return;
    for (int i = 0; i <= Tiling::kAhead; ++i) BarrierInit(BarrierOf(i), 1);
    FenceBarrierInit();
  }
  __device__ __forceinline__ void WaitForWeights(int slot, int parity) const {
    if (bulk_) BarrierWait(BarrierOf(slot), parity);
  }

  __device__ __forceinline__ void CopyWeights(Slice slice, int slot) const {
    const int vector = slice.k / Tiling::kCount;
    const int left = p_.vectors - vector - first_;
    const int skip = (slice.term * p_.vectors + vector) * 32;
    const Shared into = memory_ + slot * Tiling::kSliceBytes;
    if (bulk_) {
      if (Tiling::Copier() != 0) return;
      const uint32_t bytes = static_cast<uint32_t>(min(left, Tiling::kVectors)) * 512;
      BarrierExpect(BarrierOf(slot), Tiling::kPanels * bytes);
#pragma unroll
      for (int i = 0; i < Tiling::kPanels; ++i) {
        BulkCopy(into + i * Tiling::kVectors * 512, PanelAt(i) + skip, bytes, BarrierOf(slot));
      }
      return;
    }
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const uint4* const from = from_[i] + skip;
      const int end = min(left, Tiling::kVectors - first_);
#pragma unroll
      for (int v = 0; v < Tiling::kVectors; v += kShare) {
        if (v < end) {
          CopyAsync16(into + to_ + (i * Tiling::kVectors + v) * 512, from + v * 32, true);
        }
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

  __device__ __forceinline__ Shared BarrierOf(int slot) const {
    return memory_ + Tiling::kBarriersAt + slot * 8;
  }
  // The weights of a panel of the tile; the last of the block where there is none.
  __device__ __forceinline__ const uint4* PanelAt(int panel) const {
    const int64_t at = static_cast<int64_t>(place_.block) * p_.panels +
                       min(place_.first_panel + panel, p_.panels - 1);
    return static_cast<const uint4*>(p_.weights) + at * p_.terms * p_.vectors * 32;
  }

  // To the sources of a term.
  __device__ __forceinline__ void Turn(int term) {
    term_ = term;
    const View view = SourceOf(p_, term);
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
  const bool bulk_;
  const Shared memory_;
  const RowStart* rows_;
  const uint4* from_[kOwn];
  int first_, to_;  // vector; bytes from a slice's begin
  int term_ = -1;   // and what belongs to it:
  int begin_ = 0, group_ = 0, stride_ = 0;
  bool by_words_ = false;
};

}  // namespace dyad::kernels::cuda
