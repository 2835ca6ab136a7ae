// Attention over keys and values of int8: storing them, scores of queries, and sums of weighted
// values, all in whole numbers (KvType::kInt8). Compiled once per target.
#include "kernels/cpu/attention_state-inl.h"
#include "kernels/cpu/whole_row-inl.h"

#if defined(DYAD_KERNELS_CPU_ATTENTION_INT8_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DYAD_KERNELS_CPU_ATTENTION_INT8_INL_H_
#undef DYAD_KERNELS_CPU_ATTENTION_INT8_INL_H_
#else
#define DYAD_KERNELS_CPU_ATTENTION_INT8_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "kernels/cpu/attention_int8.h"
#include "kernels/cpu/line_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

constexpr int64_t kTileQuads = kSoftmaxKeys / 4;          // of a row of weights
constexpr int64_t kPageQuads = kPageTokens / 4;           // of them in a page
constexpr int64_t kStripBytes = kPageQuads * kLineBytes;  // of 16 features of values
constexpr int64_t kWeightBytes = kTileQuads * 8;
static_assert(kMostLines == kSoftmaxPages && kLineSums == kPageTokens && kGroup == kPageTokens);

// Scales of a page's 16 keys, or values.
inline const float* KeyScales(const AttentionShape& shape, const int8_t* keys) {
  return reinterpret_cast<const float*>(keys + KeyQuads(shape) * kLineBytes);
}
inline const float* ValueScales(const AttentionShape& shape, const int8_t* values) {
  return reinterpret_cast<const float*>(values + kPageTokens * PaddedHeadSize(shape));
}

// What is made whole waits for its row's largest number, so the processor does not reach the rows
// behind by itself.
inline void PrefetchRowBehind(const float* row, int64_t stride, int64_t count) {
  constexpr int64_t kRowsBehind = 4;
  const float* behind = row + kRowsBehind * stride;
  for (int64_t i = 0; i < count; i += 16) __builtin_prefetch(behind + i);
}

// A key or value of 8 bits; zeros to a whole strip behind it. Returns its scale.
inline float MakeBytes(const AttentionShape& shape, const float* x, int8_t* bytes) {
  int16_t whole[kMostInt8HeadSize];
  const int64_t size = shape.head_size;
  const RowUnit unit = UnitOf(Arithmetic::kInteger8, LargestBits(x, size));
  MakeWhole(Arithmetic::kInteger8, x, size, unit.multiplier, whole);
  for (int64_t d = 0; d < size; ++d) bytes[d] = static_cast<int8_t>(whole[d]);
  std::fill(bytes + size, bytes + PaddedHeadSize(shape), int8_t{0});
  return unit.unit;
}

// `keys`, `values`: of the head in a page; `place`: of the token.
inline void StoreWholeKey(const AttentionShape& shape, const float* x, int8_t* keys,
                          int64_t place) {
  int8_t bytes[kMostInt8HeadSize];
  const float scale = MakeBytes(shape, x, bytes);
  int8_t* to = keys + 4 * place;
  for (int64_t quad = 0; quad < KeyQuads(shape); ++quad, to += kLineBytes) {
    std::memcpy(to, bytes + 4 * quad, 4);
  }
  std::memcpy(to, &scale, sizeof(scale));
}
// One byte of each quad of a line; the others stay.
inline void StoreWholeValue(const AttentionShape& shape, const float* x, int8_t* values,
                            int64_t place) {
  int8_t bytes[kMostInt8HeadSize];
  const float scale = MakeBytes(shape, x, bytes);
  const int64_t shift = 8 * (place % 4);
  const uint32_t others = ~(uint32_t{0xff} << shift);
  int8_t* to = values + place / 4 * kLineBytes;
  for (int64_t d = 0; d < PaddedHeadSize(shape); d += kLineSums, to += kStripBytes) {
    uint32_t line[kLineSums];
    std::memcpy(line, to, sizeof(line));
    for (int64_t i = 0; i < kLineSums; ++i) {
      const auto byte = static_cast<uint32_t>(static_cast<uint8_t>(bytes[d + i]));
      line[i] = (line[i] & others) | byte << shift;
    }
    std::memcpy(to, line, sizeof(line));
  }
  std::memcpy(values + kPageTokens * PaddedHeadSize(shape) + 4 * place, &scale, sizeof(scale));
}

// Room for a row's quads, zeros behind them.
inline int64_t QueryBytes(const AttentionShape& shape) {
  return (KeyQuads(shape) * 8 + kLineBytes - 1) / kLineBytes * kLineBytes;
}

struct QuadRow {
  float unit = 0;
  int32_t high_sum = 0;  // Σ of the upper halves
};

// Makes numbers a row of integer16, as quads. REQUIRES: count <= kMostInt8HeadSize.
inline QuadRow PutQuads(const float* x, int64_t count, QuadForm form, uint8_t* to) {
  constexpr int64_t kWords = kLineBytes / 2;
  alignas(64) int16_t q[kMostInt8HeadSize];
  const RowUnit unit = UnitOf(Arithmetic::kInteger16, LargestBits(x, count));
  MakeWhole(Arithmetic::kInteger16, x, count, unit.multiplier, q);
  const int64_t padded = (count + kWords - 1) / kWords * kWords;
  std::fill(q + count, q + padded, int16_t{0});
  if (form == QuadForm::kWords) {
    std::memcpy(to, q, static_cast<size_t>(padded) * sizeof(int16_t));
    return {unit.unit};
  }
  int32_t high_sum = 0;
  for (int64_t i = 0; i < padded; ++i) high_sum += q[i] >> 8;
#if HWY_TARGET == HWY_AVX3
  alignas(16) static constexpr uint8_t kOrder[16] = {1, 3,  5,  7,  0, 2,  4,  6,
                                                     9, 11, 13, 15, 8, 10, 12, 14};
  const hn::Repartition<uint8_t, FloatTag> bytes;
  const hn::Repartition<int16_t, FloatTag> words;
  const auto order = hn::LoadDup128(bytes, kOrder);
  for (int64_t i = 0; i < padded; i += kWords) {
    const auto whole = hn::BitCast(bytes, hn::LoadU(words, q + i));
    hn::StoreU(hn::TableLookupBytes(whole, order), bytes, to + 2 * i);
  }
#endif
  return {unit.unit, high_sum};
}

inline void SumLines(const LineTile& tile, QuadForm form, int64_t rows, int64_t lines) {
  if (form == QuadForm::kHalves) return SumLinesOfHalves(tile, rows, lines);
  SumLinesOfWords(tile, rows, lines);
}

inline void ScoreGroup(const AttentionWork& work, const HeadPages<int8_t>& pages, int64_t visible,
                       const QueryState& state) {
  const int64_t parts = PartCount(state.rows, kRowsOfLines);
  for (int64_t i = 0; i < parts; ++i) {
    const Part rows = PartAt(state.rows, parts, i);
    const int64_t count = PartCount(SeenKeys(visible, rows.first + rows.count), kPageTokens);
    PrefetchPart(pages.values, pages.pages, HeadValueBytes(work.shape, KvType::kInt8), i, parts);
    if (count == 0) continue;
    float* scores = state.scores + rows.first * kSoftmaxKeys;
    SumLines({.x = state.quads + rows.first * state.quad_stride,
              .x_stride = state.quad_stride,
              .units = state.units + rows.first,
              .high_sums = state.high_sums + rows.first,
              .lines = pages.keys,
              .quads = KeyQuads(work.shape),
              .to = scores},
             state.form, rows.count, count);
    for (int64_t p = 0; p < count; ++p) {
      const float* scales = KeyScales(work.shape, pages.keys[p]);
      for (int64_t r = 0; r < rows.count; ++r) {
        float* of_page = scores + r * kSoftmaxKeys + p * kPageTokens;
        for (int64_t n = 0; n < kPageTokens; n += kLanes) {
          Store(hn::Mul(Load(of_page + n), Load(scales + n)), of_page + n);
        }
      }
    }
  }
}

// A row's weights times scales of values, as whole numbers. Of keys that it does not see both may
// be anything: their q are zeros.
inline void WholeWeights(const AttentionShape& shape, const HeadPages<int8_t>& pages, int64_t keys,
                         int64_t row, QueryState& state) {
  alignas(64) float weights[kSoftmaxKeys];
  const float* from = state.scores + row * kSoftmaxKeys;
  for (int64_t first = 0; first < keys; first += kPageTokens) {
    const float* scales = ValueScales(shape, pages.values[first / kPageTokens]);
    for (int64_t n = 0; n < kPageTokens; n += kLanes) {
      Store(hn::Mul(Load(from + first + n), Load(scales + n)), weights + first + n);
    }
  }
  std::fill(weights + keys, weights + kSoftmaxKeys, 0.0f);
  state.weight_units[row] =
      PutQuads(weights, kSoftmaxKeys, state.form, state.weight_quads + row * kWeightBytes).unit;
}

inline void AddGroup(const AttentionWork& work, const HeadPages<int8_t>& pages, int64_t visible,
                     QueryState& state) {
  const int64_t width = PaddedHeadSize(work.shape);
  const int64_t parts = PartCount(state.rows, kRowsOfLines);
  const int64_t strips = width / kLineSums;
  for (int64_t i = 0; i < parts; ++i) {
    const Part rows = PartAt(state.rows, parts, i);
    PrefetchPart(pages.next_keys, pages.next_pages, HeadKeyBytes(work.shape, KvType::kInt8), i,
                 parts);
    const int64_t seen = SeenKeys(visible, rows.first + rows.count);
    if (seen == 0) continue;
    for (int64_t r = rows.first; r < rows.first + rows.count; ++r) {
      WholeWeights(work.shape, pages, SeenKeys(visible, r + 1), r, state);
    }
    for (int64_t strip = 0; strip < strips; strip += kMostLines) {
      const int64_t lines = std::min<int64_t>(kMostLines, strips - strip);
      const int8_t* begins[kSoftmaxPages][kMostLines];
      const int64_t count = PartCount(seen, kPageTokens);
      for (int64_t p = 0; p < count; ++p) {
        for (int64_t l = 0; l < lines; ++l) {
          begins[p][l] = pages.values[p] + (strip + l) * kStripBytes;
        }
      }
      alignas(64) float products[kRowsOfLines * kMostLines * kLineSums];
      SumLines({.x = state.weight_quads + rows.first * kWeightBytes,
                .x_stride = kWeightBytes,
                .units = state.weight_units + rows.first,
                .lines = begins[0],
                .segments = count,
                .quads = kPageQuads,
                .to = products},
               state.form, rows.count, lines);
      for (int64_t r = 0; r < rows.count; ++r) {
        const Vec rescale = Set(state.rescale[rows.first + r]);
        float* sums = state.sums + (rows.first + r) * width + strip * kLineSums;
        const float* added = products + r * kMostLines * kLineSums;
        for (int64_t n = 0; n < lines * kLineSums; n += kLanes) {
          Store(hn::Add(Load(added + n), hn::Mul(Load(sums + n), rescale)), sums + n);
        }
      }
    }
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DYAD_KERNELS_CPU_ATTENTION_INT8_INL_H_
