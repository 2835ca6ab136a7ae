// Sums of lines by words of 16 bits (kernels/cpu/attention_int8.h). Compiled once per target; where
// a target has no multiply-add of words, plain loops.
#include "kernels/cpu/integer-inl.h"

#if defined(DYAD_KERNELS_CPU_LINE_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DYAD_KERNELS_CPU_LINE_SUMS_INL_H_
#undef DYAD_KERNELS_CPU_LINE_SUMS_INL_H_
#else
#define DYAD_KERNELS_CPU_LINE_SUMS_INL_H_
#endif

#include <cstring>

#include "kernels/cpu/attention_int8.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

// Rows that go together: 4 rows · 2 vectors of sums are half of AVX2's registers.
constexpr int kRowsOfLines = kLanes == 8 ? 4 : kLineRows;

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

// Vectors of sums of a line, a sum in pairs of lanes, that go together with so many rows: not more
// than AVX2's registers hold, as one in memory would set the pace.
constexpr int VectorsAtOnce(int rows) { return rows <= 2 ? kLineSums / kVectorOutputs : 2; }

// Some lines side by side, from `first_sum` of each on.
template <int kRows, int kLines>
HWY_NOINLINE void SumWordLines(const LineTile& tile, int64_t first_line, int64_t first_sum) {
  constexpr int kVectors = VectorsAtOnce(kRows);
  IntVec sums[kRows][kLines][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int l = 0; l < kLines; ++l) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sums[r][l][v] = hn::Zero(IntTag());
    }
  }
  const uint8_t* x = tile.x;
  for (int64_t segment = 0; segment < tile.segments; ++segment) {
    const int8_t* from[kLines];
#pragma GCC unroll 16
    for (int l = 0; l < kLines; ++l) {
      from[l] = tile.lines[segment * kMostLines + first_line + l] + 4 * first_sum;
    }
    for (int64_t quad = 0; quad < tile.quads; ++quad, x += 8) {
      WordVec rows[kRows];
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) rows[r] = FourWords(x + r * tile.x_stride);
#pragma GCC unroll 16
      for (int l = 0; l < kLines; ++l) {
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) {
          const WordVec line = hn::PromoteTo(
              WordTag(), hn::LoadU(hn::Rebind<int8_t, WordTag>(),
                                   from[l] + quad * kLineBytes + v * 4 * kVectorOutputs));
#pragma GCC unroll 16
          for (int r = 0; r < kRows; ++r) {
            sums[r][l][v] = AddProducts(rows[r], line, sums[r][l][v]);
          }
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const Vec unit = Set(tile.units[r]);
#pragma GCC unroll 16
    for (int l = 0; l < kLines; ++l) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; v += 2) {
        const IntVec sum = PairSums(sums[r][l][v], sums[r][l][v + 1]);
        Store(hn::Mul(hn::ConvertTo(FloatTag(), sum), unit),
              tile.to + (r * kMostLines + first_line + l) * kLineSums + first_sum +
                  v * kVectorOutputs);
      }
    }
  }
}

template <int kRows, int kLines>
void SumWholeLines(const LineTile& tile, int64_t first_line) {
  constexpr int kSums = VectorsAtOnce(kRows) * kVectorOutputs;
  for (int sum = 0; sum < kLineSums; sum += kSums)
    SumWordLines<kRows, kLines>(tile, first_line, sum);
}

template <int kRows>
void SumLinesExactly(const LineTile& tile, int64_t rows, int64_t lines) {
  if (rows == kRows) {
    constexpr int kAtOnce = kLanes == 16 ? 2 : 1;
    int64_t line = 0;
    for (; line + kAtOnce <= lines; line += kAtOnce) SumWholeLines<kRows, kAtOnce>(tile, line);
    for (; line < lines; ++line) SumWholeLines<kRows, 1>(tile, line);
    return;
  }
  if constexpr (kRows > 1) SumLinesExactly<kRows - 1>(tile, rows, lines);
}

inline void SumLinesOfWords(const LineTile& tile, int64_t rows, int64_t lines) {
  SumLinesExactly<kRowsOfLines>(tile, rows, lines);
}

#else

inline void SumLinesOfWords(const LineTile& tile, int64_t rows, int64_t lines) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t l = 0; l < lines; ++l) {
      int32_t sums[kLineSums] = {};
      const uint8_t* x = tile.x + r * tile.x_stride;
      for (int64_t segment = 0; segment < tile.segments; ++segment) {
        const int8_t* line = tile.lines[segment * kMostLines + l];
        for (int64_t quad = 0; quad < tile.quads; ++quad, x += 8, line += kLineBytes) {
          int16_t q[4];
          std::memcpy(q, x, sizeof(q));
          for (int64_t i = 0; i < kLineBytes; ++i) sums[i / 4] += q[i % 4] * line[i];
        }
      }
      for (int64_t n = 0; n < kLineSums; ++n) {
        tile.to[(r * kMostLines + l) * kLineSums + n] = static_cast<float>(sums[n]) * tile.units[r];
      }
    }
  }
}

#endif

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DYAD_KERNELS_CPU_LINE_SUMS_INL_H_
