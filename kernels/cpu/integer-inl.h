// Sums of words: q of 16 bits times int8 weights, widened. Compiled once per target; where a target
// has no multiply-add of words, plain loops.
#include "kernels/cpu/vector-inl.h"

#if defined(DYAD_KERNELS_CPU_INTEGER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DYAD_KERNELS_CPU_INTEGER_INL_H_
#undef DYAD_KERNELS_CPU_INTEGER_INL_H_
#else
#define DYAD_KERNELS_CPU_INTEGER_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "kernels/cpu/integer.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

// Words of x of some rows, and a panel. A quad's words are `x_step` bytes apart.
struct WordTile {
  const uint8_t* x;
  int64_t x_stride;
  int64_t x_step;
  const int8_t* weights;
  int64_t quads;
};

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

using WordTag = hn::Repartition<int16_t, FloatTag>;
using WordVec = hn::Vec<WordTag>;
// A vector of sums holds half as many outputs as it has lanes, two sums each.
inline constexpr int64_t kVectorOutputs = kLanes / 2;

HWY_INLINE WordVec FourWords(const uint8_t* from) {
  uint64_t four;
  std::memcpy(&four, from, sizeof(four));
  return hn::BitCast(WordTag(), hn::Set(hn::Repartition<uint64_t, FloatTag>(), four));
}
HWY_INLINE IntVec AddProducts(WordVec x, WordVec weights, IntVec sum) {
  IntVec none = hn::Zero(IntTag());
  return hn::ReorderWidenMulAccumulate(IntTag(), x, weights, sum, none);
}
// kLanes outputs of two vectors of sums.
HWY_INLINE IntVec PairSums(IntVec low, IntVec high) {
  const hn::Repartition<uint64_t, FloatTag> wide;
  const auto add_next = [&](IntVec sums) HWY_ATTR {
    return hn::Add(sums, hn::BitCast(IntTag(), hn::ShiftRight<32>(hn::BitCast(wide, sums))));
  };
  return hn::ConcatEven(IntTag(), add_next(high), add_next(low));
}

// to[r][n] = Σ over the quads, for kRows rows and kVectors · kVectorOutputs outputs.
template <int kRows, int kVectors>
HWY_NOINLINE void SumWordRows(const WordTile& tile, int32_t* to) {
  IntVec sums[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::Zero(IntTag());
  }
  const uint8_t* x = tile.x;
  const int8_t* weights = tile.weights;
  for (int64_t quad = 0; quad < tile.quads; ++quad, x += tile.x_step, weights += 128) {
    if constexpr (kRows <= 3) {
      __builtin_prefetch(weights + 8192, 0, 3);
      __builtin_prefetch(weights + 8256, 0, 3);
    }
    WordVec rows[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) rows[r] = FourWords(x + r * tile.x_stride);
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const WordVec w = hn::PromoteTo(
          WordTag(), hn::LoadU(hn::Rebind<int8_t, WordTag>(), weights + v * 4 * kVectorOutputs));
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sums[r][v] = AddProducts(rows[r], w, sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; v += 2) {
      hn::StoreU(PairSums(sums[r][v], sums[r][v + 1]), IntTag(),
                 to + kPanelOutputs * r + v * kVectorOutputs);
    }
  }
}

template <int kRows>
void SumWordsExactly(const WordTile& tile, int64_t count, int32_t* to) {
  if (count == kRows) {
    constexpr int kPasses = kRows == 1 || kLanes == 16 ? 1 : 4;
    constexpr int kVectors = kPanelOutputs / kVectorOutputs / kPasses;
    for (int pass = 0; pass < kPasses; ++pass) {
      WordTile part = tile;
      part.weights += pass * kVectors * 4 * kVectorOutputs;
      SumWordRows<kRows, kVectors>(part, to + pass * kVectors * kVectorOutputs);
    }
    return;
  }
  if constexpr (kRows > 1) SumWordsExactly<kRows - 1>(tile, count, to);
}

#else

template <int>
void SumWordsExactly(const WordTile& tile, int64_t count, int32_t* to) {
  std::fill_n(to, count * kPanelOutputs, 0);
  for (int64_t quad = 0; quad < tile.quads; ++quad) {
    for (int64_t r = 0; r < count; ++r) {
      int16_t x[4];
      std::memcpy(x, tile.x + r * tile.x_stride + quad * tile.x_step, sizeof(x));
      const int8_t* weights = tile.weights + quad * 128;
      for (int64_t n = 0; n < kPanelOutputs; ++n, weights += 4) {
        for (int64_t k = 0; k < 4; ++k) to[r * kPanelOutputs + n] += x[k] * weights[k];
      }
    }
  }
}

#endif

// to[r][n] = float(S) · unit, as SumBytes. Sums of 32 bits hold 2^15 · 127 · 512; then they move to
// doubles, which are exact.
inline void SumWords(const IntegerTile& tile, Arithmetic arithmetic, int64_t count, float* to) {
  constexpr int64_t kQuads = 128;
  constexpr int64_t kMostRows = 4;
  const int64_t words = arithmetic == Arithmetic::kInteger24 ? 2 : 1;
  const int64_t outputs = count * kPanelOutputs;
  alignas(64) int32_t sums[kMostRows * kPanelOutputs];
  alignas(64) double total[kMostRows * kPanelOutputs];
  const bool once = words == 1 && tile.quads <= kQuads;
  if (!once) std::fill_n(total, outputs, 0.0);
  for (int64_t first = 0; first < tile.quads; first += kQuads) {
    for (int64_t word = 0; word < words; ++word) {
      SumWordsExactly<kMostRows>({.x = tile.x + 8 * (first * words + word),
                                  .x_stride = tile.x_stride,
                                  .x_step = 8 * words,
                                  .weights = tile.weights + first * 128,
                                  .quads = std::min(kQuads, tile.quads - first)},
                                 count, sums);
      if (once) break;
      const double worth = word + 1 < words ? 256.0 : 1.0;
      for (int64_t i = 0; i < outputs; ++i) total[i] += worth * sums[i];
    }
  }
  for (int64_t i = 0; i < outputs; ++i) {
    const float sum = once ? static_cast<float>(sums[i]) : static_cast<float>(total[i]);
    to[i] = sum * tile.units[i / kPanelOutputs];
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DYAD_KERNELS_CPU_INTEGER_INL_H_
