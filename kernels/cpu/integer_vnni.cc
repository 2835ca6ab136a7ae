// Sums of bytes by AVX-512 with VNNI, for which Highway has no name here: kernels/cpu/integer.h.
//
// vpdpbusd adds four products of unsigned and signed bytes to each of 16 sums. The pieces of q have
// sums of their own; they join at the end, less what the offset of q has added: offset · Σ p.
#include "kernels/cpu/avx512.h"
#include "kernels/cpu/integer.h"

#if HWY_ARCH_X86

#include <algorithm>

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx512vnni,avx2,fma")
namespace dyad::kernels {
namespace {

constexpr int kPanelVectors = 2;

enum class Ahead { kNothing, kFirstCache, kSecondCache };

HWY_INLINE __m512 Join(__m256 low, __m256 high) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}
HWY_INLINE __m512d LowHalf(__m512i sum) { return _mm512_cvtepi32_pd(_mm512_castsi512_si256(sum)); }
HWY_INLINE __m512d HighHalf(__m512i sum) {
  return _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(sum, 1));
}

// float(S) of the sums of pieces, rounded once: 256 · high + low, through doubles, which are exact,
// or where S stays below 2^31 in whole numbers, where whatever wraps on the way wraps back.
HWY_INLINE __m512 JoinTwo(__m512i high, __m512i low, bool fits) {
  if (fits) return _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_slli_epi32(high, 8), low));
  const __m512d k256 = _mm512_set1_pd(256.0);
  return Join(_mm512_cvtpd_ps(_mm512_fmadd_pd(LowHalf(high), k256, LowHalf(low))),
              _mm512_cvtpd_ps(_mm512_fmadd_pd(HighHalf(high), k256, HighHalf(low))));
}
HWY_INLINE __m512 JoinThree(__m512i high, __m512i middle, __m512i low) {
  const __m512d k256 = _mm512_set1_pd(256.0);
  const __m512d first = _mm512_fmadd_pd(LowHalf(high), k256, LowHalf(middle));
  const __m512d second = _mm512_fmadd_pd(HighHalf(high), k256, HighHalf(middle));
  return Join(_mm512_cvtpd_ps(_mm512_fmadd_pd(first, k256, LowHalf(low))),
              _mm512_cvtpd_ps(_mm512_fmadd_pd(second, k256, HighHalf(low))));
}

template <Ahead kAhead, int kLines>
HWY_INLINE void Prefetch(const char* first) {
  if constexpr (kAhead == Ahead::kNothing) return;
#pragma GCC unroll 16
  for (int line = 0; line < kLines; ++line) {
    __builtin_prefetch(first + 64 * line, 0, kAhead == Ahead::kFirstCache ? 3 : 2);
  }
}

// Few rows keep kUnroll quads side by side in sums of their own, to hide an instruction's latency.
// Rows go by threes from a pointer each, which address them without arithmetic.
template <int kRows, int kPieces, int kUnroll, Ahead kAhead>
HWY_NOINLINE void SumRows(const IntegerTile& tile, float* to) {
  constexpr int kPointers = (kRows + 2) / 3;
  __m512i sums[kUnroll][kRows][kPieces][kPanelVectors];
#pragma GCC unroll 16
  for (int u = 0; u < kUnroll; ++u) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
      for (int piece = 0; piece < kPieces; ++piece) {
        sums[u][r][piece][0] = sums[u][r][piece][1] = _mm512_setzero_si512();
      }
    }
  }
  const uint8_t* x[kPointers];
#pragma GCC unroll 16
  for (int i = 0; i < kPointers; ++i) x[i] = tile.x + 3 * i * tile.x_stride;
  const int64_t stride = tile.x_stride;
  const int8_t* weights = tile.weights;
  const char* ahead = tile.ahead;
  int64_t left = tile.quads;
  const auto add_quad = [&](int u, int at) __attribute__((always_inline)) {
    const __m512i w0 = _mm512_loadu_si512(weights + at * 128);
    const __m512i w1 = _mm512_loadu_si512(weights + at * 128 + 64);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
      for (int piece = 0; piece < kPieces; ++piece) {
        const __m512i value =
            BroadcastFour(x[r / 3] + (r % 3) * stride + at * QuadBytes(kPieces) + 4 * piece);
        sums[u][r][piece][0] = _mm512_dpbusd_epi32(sums[u][r][piece][0], value, w0);
        sums[u][r][piece][1] = _mm512_dpbusd_epi32(sums[u][r][piece][1], value, w1);
      }
    }
  };
  const auto go_on = [&](int quads) __attribute__((always_inline)) {
    weights += 128 * quads;
#pragma GCC unroll 16
    for (int i = 0; i < kPointers; ++i) x[i] += QuadBytes(kPieces) * quads;
    left -= quads;
  };
  while (left >= kUnroll) {
    Prefetch<kAhead, 2 * kUnroll>(ahead);
    ahead += tile.ahead_step * kUnroll;
#pragma GCC unroll 16
    for (int u = 0; u < kUnroll; ++u) add_quad(u, u);
    go_on(kUnroll);
  }
  if constexpr (kUnroll > 1) {
    while (left > 0) {
      add_quad(0, 0);
      go_on(1);
    }
  }
#pragma GCC unroll 16
  for (int u = 1; u < kUnroll; ++u) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
      for (int piece = 0; piece < kPieces; ++piece) {
        sums[0][r][piece][0] = _mm512_add_epi32(sums[0][r][piece][0], sums[u][r][piece][0]);
        sums[0][r][piece][1] = _mm512_add_epi32(sums[0][r][piece][1], sums[u][r][piece][1]);
      }
    }
  }
  // 2^15 · 127 · k < 2^31.
  const bool fits = tile.quads * 4 <= 512;
#pragma GCC unroll 16
  for (int v = 0; v < kPanelVectors; ++v) {
    // What the offset of q has added to the highest piece.
    const __m512i offset = _mm512_slli_epi32(_mm512_loadu_si512(tile.weight_sums + 16 * v), 7);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const __m512i highest = _mm512_sub_epi32(sums[0][r][0][v], offset);
      __m512 sum;
      if constexpr (kPieces == 1) {
        sum = _mm512_cvtepi32_ps(highest);
      } else if constexpr (kPieces == 2) {
        sum = JoinTwo(highest, sums[0][r][1][v], fits);
      } else {
        sum = JoinThree(highest, sums[0][r][1][v], sums[0][r][2][v]);
      }
      _mm512_storeu_ps(to + kPanelOutputs * r + 16 * v,
                       _mm512_mul_ps(sum, _mm512_set1_ps(tile.units[r])));
    }
  }
}

template <int kPieces, int kRows>
void SumExactly(const IntegerTile& tile, int64_t count, float* to) {
  if (count == kRows) {
    constexpr int kUnroll = std::max(1, 4 / (kRows * kPieces));
    constexpr Ahead kFew = kRows * kPieces >= 2 ? Ahead::kFirstCache : Ahead::kNothing;
    if (tile.many) return SumRows<kRows, kPieces, kUnroll, Ahead::kSecondCache>(tile, to);
    return SumRows<kRows, kPieces, kUnroll, kFew>(tile, to);
  }
  if constexpr (kRows > 1) SumExactly<kPieces, kRows - 1>(tile, count, to);
}

}  // namespace

void SumBytes(const IntegerTile& tile, Arithmetic arithmetic, int64_t count, float* to) {
  switch (arithmetic) {
    case Arithmetic::kInteger24:
      return SumExactly<3, 4>(tile, count, to);
    case Arithmetic::kInteger16:
      return SumExactly<2, 6>(tile, count, to);
    default:
      return SumExactly<1, 12>(tile, count, to);
  }
}

}  // namespace dyad::kernels
HWY_POP_ATTRIBUTES

#else

namespace dyad::kernels {
void SumBytes(const IntegerTile&, Arithmetic, int64_t, float*) {}
}  // namespace dyad::kernels

#endif
