// Sums of lines by AVX-512 with VNNI, for which Highway has no name here:
// kernels/cpu/attention_int8.h.
//
// vpdpbusd multiplies unsigned bytes with signed ones. Lower halves are unsigned and meet lines as
// they are. Upper halves are signed: they meet lines + 128, which adds 128 · Σ of these halves.
#include "kernels/cpu/attention_int8.h"
#include "kernels/cpu/avx512.h"

#if HWY_ARCH_X86

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx512vnni,avx2,fma")
namespace dyad::kernels {
namespace {

// Behind the lines of a head lie those of the next ones, which a single query goes on to.
constexpr int64_t kAhead = 2304;

enum class Upper { kSigned, kUnsigned };

template <int kRows, int kLines, Upper kUpper>
HWY_NOINLINE void SumHalves(const LineTile& tile) {
  __m512i high[kRows][kLines], low[kRows][kLines];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int l = 0; l < kLines; ++l) high[r][l] = low[r][l] = _mm512_setzero_si512();
  }
  [[maybe_unused]] const __m512i signs = _mm512_set1_epi32(static_cast<int>(0x80808080u));
  const uint8_t* x = tile.x;
  const int64_t stride = tile.x_stride;
  for (int64_t segment = 0; segment < tile.segments; ++segment) {
    const int8_t* from[kLines];
#pragma GCC unroll 16
    for (int l = 0; l < kLines; ++l) from[l] = tile.lines[segment * kMostLines + l];
    for (int64_t quad = 0; quad < tile.quads; ++quad, x += 8) {
      __m512i line[kLines];
#pragma GCC unroll 16
      for (int l = 0; l < kLines; ++l) {
        line[l] = _mm512_loadu_si512(from[l] + quad * kLineBytes);
        if constexpr (kRows == 1) __builtin_prefetch(from[l] + quad * kLineBytes + kAhead);
      }
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const __m512i rest = BroadcastFour(x + r * stride + 4);
#pragma GCC unroll 16
        for (int l = 0; l < kLines; ++l) {
          low[r][l] = _mm512_dpbusd_epi32(low[r][l], rest, line[l]);
        }
      }
      if constexpr (kUpper == Upper::kSigned) {
#pragma GCC unroll 16
        for (int l = 0; l < kLines; ++l) line[l] = _mm512_xor_si512(line[l], signs);
      }
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const __m512i upper = BroadcastFour(x + r * stride);
#pragma GCC unroll 16
        for (int l = 0; l < kLines; ++l) {
          if constexpr (kUpper == Upper::kSigned) {
            high[r][l] = _mm512_dpbusd_epi32(high[r][l], line[l], upper);
          } else {
            high[r][l] = _mm512_dpbusd_epi32(high[r][l], upper, line[l]);
          }
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const __m512 unit = _mm512_set1_ps(tile.units[r]);
#pragma GCC unroll 16
    for (int l = 0; l < kLines; ++l) {
      // Below 2^31 in the end, whatever wraps on the way.
      __m512i sum = high[r][l];
      if constexpr (kUpper == Upper::kSigned) {
        sum = _mm512_sub_epi32(sum, _mm512_set1_epi32(tile.high_sums[r] * 128));
      }
      sum = _mm512_add_epi32(_mm512_slli_epi32(sum, 8), low[r][l]);
      _mm512_storeu_ps(tile.to + (r * kMostLines + l) * kLineSums,
                       _mm512_mul_ps(_mm512_cvtepi32_ps(sum), unit));
    }
  }
}

template <int kRows, int kLines, Upper kUpper>
void SumExactLines(const LineTile& tile, int64_t rows, int64_t lines) {
  if (rows < kRows) {
    if constexpr (kRows > 1) SumExactLines<kRows - 1, kLines, kUpper>(tile, rows, lines);
  } else if (lines < kLines) {
    if constexpr (kLines > 1) SumExactLines<kRows, kLines - 1, kUpper>(tile, rows, lines);
  } else {
    SumHalves<kRows, kLines, kUpper>(tile);
  }
}

}  // namespace

void SumLinesOfHalves(const LineTile& tile, int64_t rows, int64_t lines) {
  if (tile.high_sums != nullptr) {
    return SumExactLines<kLineRows, kMostLines, Upper::kSigned>(tile, rows, lines);
  }
  SumExactLines<kLineRows, kMostLines, Upper::kUnsigned>(tile, rows, lines);
}

}  // namespace dyad::kernels
HWY_POP_ATTRIBUTES

#else

namespace dyad::kernels {
void SumLinesOfHalves(const LineTile&, int64_t, int64_t) {}
}  // namespace dyad::kernels

#endif
