// The micro-kernels: one chain of fused multiply-adds per output, k ascending, lanes across
// outputs. Compiled once per target.
#include "kernels/cpu/math-inl.h"

#if defined(DYAD_KERNELS_CPU_CONTRACTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DYAD_KERNELS_CPU_CONTRACTION_INL_H_
#undef DYAD_KERNELS_CPU_CONTRACTION_INL_H_
#else
#define DYAD_KERNELS_CPU_CONTRACTION_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

// Weights widen exactly, so the chain is the one of the float32 weights that they stand for.
HWY_INLINE Vec Widen(const float* p) { return hn::LoadU(FloatTag(), p); }
template <typename Half>
HWY_INLINE Vec Widen(const Half* p) {
  return hn::PromoteTo(FloatTag(), hn::LoadU(hn::Rebind<Half, FloatTag>(), p));
}
HWY_INLINE Vec Widen(const int8_t* p) {
  const auto quarter = hn::LoadU(hn::Rebind<int8_t, FloatTag>(), p);
  return hn::ConvertTo(FloatTag(), hn::PromoteTo(IntTag(), quarter));
}

// While rows are multiplied with weights, those that are needed next are on their way from memory,
// by the bytes that a row takes: with few rows the processor's own prefetch is faster alone, with
// some it is the first cache that they go to, with many the second, whose requests do not stand in
// the way of the loads.
template <int kRows, typename Weight>
constexpr bool kPrefetches = kRows >= (kLanes == 16 ? 3 : 2) || sizeof(Weight) < kRows;
template <int kRows, typename Weight>
constexpr int kLocality = 3 * sizeof(Weight) <= 2 * kRows ? 2 : 3;

template <int64_t kBytes, int kTo>
HWY_INLINE void PrefetchLines(const char* first) {
#pragma GCC unroll 16
  for (int64_t byte = 0; byte < kBytes; byte += 64) __builtin_prefetch(first + byte, 0, kTo);
}

// The operands of one tile: tile[r, n] += Σ_k a[k, r] · b[k, n], k in [0, depth). Steps in
// elements.
template <typename Weight>
struct TileOperands {
  const float* a;  // rows are kRowStride apart, a template parameter of those who use it
  int64_t a_step;  // from k to k + 1
  const Weight* b;
  int64_t b_step;
  int64_t depth;
  float* tile;
  int64_t tile_stride;          // from row to row
  const char* ahead = nullptr;  // Ahead::kPrefetch: what is on its way during the first k
  int64_t ahead_step = 0;       // bytes from k to k + 1
};

enum class Ahead { kNothing, kPrefetch };

// Continues the chains of kRows rows and kVectors vectors of outputs. The accumulators and one k of
// b stay in registers: kRows · kVectors + kVectors.
template <int kRows, int kVectors, int kRowStride, Ahead kAhead, typename Weight>
HWY_INLINE void ContractTile(const TileOperands<Weight>& operands) {
  const float* HWY_RESTRICT a = operands.a;
  const Weight* HWY_RESTRICT b = operands.b;
  float* HWY_RESTRICT tile = operands.tile;
  Vec sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      sum[r][v] = Load(tile + r * operands.tile_stride + v * kLanes);
  }
  [[maybe_unused]] const char* ahead = operands.ahead;
  for (int64_t k = 0; k < operands.depth; ++k) {
    if constexpr (kAhead == Ahead::kPrefetch && kPrefetches<kRows, Weight>) {
      PrefetchLines<kVectors * kLanes * int64_t{sizeof(Weight)}, kLocality<kRows, Weight>>(ahead);
      ahead += operands.ahead_step;
    }
    if constexpr (kRows < kVectors) {  // fewer registers if rows are kept
      Vec x[kRows];
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) x[r] = Set(a[r * kRowStride]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        const Vec weight = Widen(b + v * kLanes);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) sum[r][v] = Fma(x[r], weight, sum[r][v]);
      }
    } else {
      Vec weight[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) weight[v] = Widen(b + v * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const Vec x = Set(a[r * kRowStride]);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) sum[r][v] = Fma(x, weight[v], sum[r][v]);
      }
    }
    a += operands.a_step;
    b += operands.b_step;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      Store(sum[r][v], tile + r * operands.tile_stride + v * kLanes);
  }
}

// The same for `rows` rows, known at run time, in register tiles of at most kMaxRows of even size.
template <int kMaxRows, int kVectors, int kRowStride, Ahead kAhead, typename Weight>
HWY_INLINE void ContractExactly(const TileOperands<Weight>& operands, int64_t rows) {
  if (rows == kMaxRows) {
    ContractTile<kMaxRows, kVectors, kRowStride, kAhead>(operands);
  } else if constexpr (kMaxRows > 1) {
    ContractExactly<kMaxRows - 1, kVectors, kRowStride, kAhead>(operands, rows);
  }
}
template <int kMaxRows, int kVectors, int kRowStride, Ahead kAhead = Ahead::kNothing,
          typename Weight>
HWY_INLINE void ContractRows(const TileOperands<Weight>& operands, int64_t rows) {
  const int64_t parts = (rows + kMaxRows - 1) / kMaxRows;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t first = part * rows / parts;
    TileOperands<Weight> of_part = operands;
    of_part.a += first * kRowStride;
    of_part.tile += first * operands.tile_stride;
    of_part.ahead_step = operands.ahead_step / parts;
    of_part.ahead += part * operands.depth * of_part.ahead_step;
    ContractExactly<kMaxRows, kVectors, kRowStride, kAhead>(of_part,
                                                            (part + 1) * rows / parts - first);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DYAD_KERNELS_CPU_CONTRACTION_INL_H_
