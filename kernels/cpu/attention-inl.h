// The register tiles of attention: scores of some queries and keys, and sums of weighted values.
// Compiled once per target.
#include "kernels/cpu/contraction-inl.h"

#if defined(DYAD_KERNELS_CPU_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DYAD_KERNELS_CPU_ATTENTION_INL_H_
#undef DYAD_KERNELS_CPU_ATTENTION_INL_H_
#else
#define DYAD_KERNELS_CPU_ATTENTION_INL_H_
#endif

#include <algorithm>

#include "kernels/step.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

constexpr int64_t kSoftmaxPages = 4;  // between two rescalings; at whole multiples of it
constexpr int64_t kSoftmaxKeys = kSoftmaxPages * kPageTokens;

// A register tile: queries, and vectors of keys or of a value row.
constexpr int kRowsAtOnce = kLanes == 1 ? 1 : 6;
constexpr int kVectorsAtOnce = kLanes >= 16 ? 4 : 2;
constexpr int kPagesAtOnce = std::max(1, kVectorsAtOnce / kGroupVectors);

// scores[r, key] = q_r · k_key: one chain over the features for each, from 0.
template <typename Kv>
struct Score {
  const float* queries;
  int64_t query_stride;
  const Kv* pages[kPagesAtOnce];
  int64_t depth;
  float* scores;

  template <int kRows, int kPages>
  HWY_INLINE void Tile() const {
    Vec sum[kRows][kPages * kGroupVectors];
    const Kv* page[kPages];
    for (int p = 0; p < kPages; ++p) page[p] = pages[p];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < kPages * kGroupVectors; ++v) sum[r][v] = Zero();
    }
    for (int64_t k = 0; k < depth; ++k) {
      Vec key[kPages * kGroupVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kPages * kGroupVectors; ++v) {
        key[v] = Widen(page[v / kGroupVectors] + k * kPageTokens + v % kGroupVectors * kLanes);
      }
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const Vec x = Set(queries[r * query_stride + k]);
#pragma GCC unroll 16
        for (int v = 0; v < kPages * kGroupVectors; ++v) sum[r][v] = Fma(x, key[v], sum[r][v]);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < kPages * kGroupVectors; ++v) {
        Store(sum[r][v], scores + r * kSoftmaxKeys + v * kLanes);
      }
    }
  }
};

// sums[r] = sums[r] · rescale[r] + Σ_key weights[r, key] · values[key], key by key of the group.
template <typename Kv>
struct AddValues {
  const float* weights;
  const Kv* const* pages;  // where the columns of this tile begin
  int64_t column;
  int64_t first_key, last_key;
  const float* rescale;
  float* sums;
  int64_t width;  // of a value row

  template <int kRows, int kVectors>
  HWY_INLINE void Tile() const {
    Vec sum[kRows][kVectors];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vec scale = Set(rescale[r]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = hn::Mul(Load(sums + r * width + v * kLanes), scale);
      }
    }
    for (int64_t key = first_key; key < last_key;) {
      const Kv* value = pages[key / kPageTokens] + key % kPageTokens * width + column;
      const int64_t end = std::min(last_key, (key / kPageTokens + 1) * kPageTokens);
      for (; key < end; ++key, value += width) {
        Vec of_key[kVectors];
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) of_key[v] = Widen(value + v * kLanes);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const Vec weight = Set(weights[r * kSoftmaxKeys + key]);
#pragma GCC unroll 16
          for (int v = 0; v < kVectors; ++v) sum[r][v] = Fma(weight, of_key[v], sum[r][v]);
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) Store(sum[r][v], sums + r * width + v * kLanes);
    }
  }
};

// Runs the tile of `rows` x `columns`, each known at run time and at most kRows and kColumns.
template <int kRows, int kColumns, typename Work>
HWY_INLINE void RunTile(const Work& work, int64_t rows, int64_t columns) {
  if (rows < kRows) {
    if constexpr (kRows > 1) RunTile<kRows - 1, kColumns>(work, rows, columns);
  } else if (columns < kColumns) {
    if constexpr (kColumns > 1) RunTile<kRows, kColumns - 1>(work, rows, columns);
  } else {
    work.template Tile<kRows, kColumns>();
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DYAD_KERNELS_CPU_ATTENTION_INL_H_
