// Sums of pairs in float32: bfloat16 weights widen, and each fused multiply-add is one of the
// definition, the odd one of a pair first. Compiled once per target. On x86 the processor is told
// to take denormals for zeros meanwhile, which is the definition; elsewhere plain loops follow it.
#include "kernels/cpu/vector-inl.h"

#if defined(DYAD_KERNELS_CPU_BFLOAT16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DYAD_KERNELS_CPU_BFLOAT16_INL_H_
#undef DYAD_KERNELS_CPU_BFLOAT16_INL_H_
#else
#define DYAD_KERNELS_CPU_BFLOAT16_INL_H_
#endif

#include <algorithm>

#include "kernels/bfloat16.h"
#include "kernels/cpu/bfloat16.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

// From here to its end denormals are zeros to this thread, as inputs and as results.
class DenormalsAsZeros {
 public:
  DenormalsAsZeros() : before_(__builtin_ia32_stmxcsr()) {
    __builtin_ia32_ldmxcsr(before_ | 0x8040u);
  }
  ~DenormalsAsZeros() { __builtin_ia32_ldmxcsr(before_); }
  DenormalsAsZeros(const DenormalsAsZeros&) = delete;
  DenormalsAsZeros& operator=(const DenormalsAsZeros&) = delete;

 private:
  const unsigned before_;
};

// As many sums as registers allow: AVX-512 12 · 2 vectors of 32, AVX2 2 · 4 of 16.
inline constexpr int kFloatPairRows = kLanes == 16 ? 12 : 2;

// Numbers k of some pairs, 0 or 1.
HWY_INLINE Vec WidenHalf(const uint32_t* pairs, int k) {
  const hn::RebindToUnsigned<FloatTag> bits;
  const auto both = hn::LoadU(bits, pairs);
  return hn::BitCast(FloatTag(),
                     k == 0 ? hn::ShiftLeft<16>(both) : hn::And(both, hn::Set(bits, 0xffff0000u)));
}

template <int kRows>
HWY_NOINLINE void AddFloatPairRows(const PairTile& tile, float* to) {
  constexpr int kVectors = static_cast<int>(kPanelOutputs / kLanes);
  Vec sums[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) sums[r][v] = Load(to + kPanelOutputs * r + v * kLanes);
  }
  const auto* x = reinterpret_cast<const float*>(tile.x);
  const int64_t stride = tile.x_stride / 4;
  const auto* weights = reinterpret_cast<const uint32_t*>(tile.weights);
  const char* ahead = tile.ahead;
  for (int64_t left = tile.pairs; left > 0; --left, x += 2, weights += kPanelOutputs) {
    if constexpr (kRows >= 2) {
      __builtin_prefetch(ahead, 0, 3);
      __builtin_prefetch(ahead + 64, 0, 3);
      ahead += tile.ahead_step;
    }
#pragma GCC unroll 2
    for (int k = 1; k >= 0; --k) {
      if constexpr (kRows < kVectors) {  // fewer registers if rows are kept
        Vec of_row[kRows];
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) of_row[r] = Set(x[k + r * stride]);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) {
          const Vec w = WidenHalf(weights + v * kLanes, k);
#pragma GCC unroll 16
          for (int r = 0; r < kRows; ++r) sums[r][v] = Fma(of_row[r], w, sums[r][v]);
        }
      } else {
        Vec w[kVectors];
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) w[v] = WidenHalf(weights + v * kLanes, k);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const Vec of_row = Set(x[k + r * stride]);
#pragma GCC unroll 16
          for (int v = 0; v < kVectors; ++v) sums[r][v] = Fma(of_row, w[v], sums[r][v]);
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) Store(sums[r][v], to + kPanelOutputs * r + v * kLanes);
  }
}

template <int kRows>
void AddFloatPairsExactly(const PairTile& tile, int64_t count, float* to) {
  if (count == kRows) {
    const DenormalsAsZeros during_this;
    return AddFloatPairRows<kRows>(tile, to);
  }
  if constexpr (kRows > 1) AddFloatPairsExactly<kRows - 1>(tile, count, to);
}

#else

inline constexpr int kFloatPairRows = 1;

template <int>
void AddFloatPairsExactly(const PairTile& tile, int64_t, float* to) {
  const auto* x = reinterpret_cast<const float*>(tile.x);
  const uint16_t* weights = tile.weights;
  for (int64_t left = tile.pairs; left > 0; --left, x += 2) {
    for (int64_t n = 0; n < kPanelOutputs; ++n, weights += 2) {
      to[n] = AddBfloat16Product(x[1], FromBfloat16(weights[1]), to[n]);
      to[n] = AddBfloat16Product(x[0], FromBfloat16(weights[0]), to[n]);
    }
  }
}

#endif

// AddPairs for rows of kFloats. Where the rows take several passes over the panel, they take turns
// every so many pairs: the first one brings them into the first cache, where the others find them.
inline void AddFloatPairs(const PairTile& tile, int64_t count, float* sums) {
  constexpr int64_t kPairsOfTurn = 64;
  const int64_t parts = RowTileCount(count, kFloatPairRows);
  const int64_t step = parts == 1 ? tile.pairs : kPairsOfTurn;
  for (int64_t first = 0; first < tile.pairs; first += step) {
    for (int64_t part = 0; part < parts; ++part) {
      const RowTile rows = RowTileAt(count, part, kFloatPairRows);
      PairTile turn = tile;
      turn.x += rows.first * tile.x_stride + first * PairBytes(RowForm::kFloats);
      turn.weights += first * 2 * kPanelOutputs;
      turn.pairs = std::min(step, tile.pairs - first);
      turn.ahead += first * tile.ahead_step;
      AddFloatPairsExactly<kFloatPairRows>(turn, rows.count, sums + rows.first * kPanelOutputs);
    }
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DYAD_KERNELS_CPU_BFLOAT16_INL_H_
