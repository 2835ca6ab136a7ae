// Sums of pairs by AVX-512 with BF16, for which Highway has no name here: kernels/cpu/bfloat16.h.
//
// vdpbf16ps adds the products of two bfloat16 to each of 16 sums, the odd one first, as two fused
// multiply-adds to which denormals are zeros, whatever the processor is set to.
#include "kernels/cpu/avx512.h"
#include "kernels/cpu/bfloat16.h"

#if HWY_ARCH_X86

#include <algorithm>

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx512bf16,avx2,fma")
namespace dyad::kernels {
namespace {

constexpr int kVectors = 2;  // of a panel

// A pair of x for all outputs.
HWY_INLINE __m512bh BroadcastPair(const uint8_t* from) {
  return reinterpret_cast<__m512bh>(BroadcastFour(from));
}
HWY_INLINE __m512bh LoadPairs(const uint16_t* from) {
  return reinterpret_cast<__m512bh>(_mm512_loadu_si512(from));
}

// Rows go by threes from a pointer each, which address them without arithmetic. kLocality: of what
// is brought ahead, as __builtin_prefetch has it; 0: nothing is.
template <int kRows, int kLocality>
HWY_NOINLINE void AddPairRows(const PairTile& tile, float* to) {
  constexpr int kPointers = (kRows + 2) / 3;
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = _mm512_setzero_ps();
    }
  }
  if (tile.start == Start::kSums) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        sums[r][v] = _mm512_loadu_ps(to + kPanelOutputs * r + 16 * v);
      }
    }
  }
  const uint8_t* x[kPointers];
#pragma GCC unroll 16
  for (int i = 0; i < kPointers; ++i) x[i] = tile.x + 3 * i * tile.x_stride;
  const int64_t stride = tile.x_stride;
  const uint16_t* weights = tile.weights;
  const char* ahead = tile.ahead;
  for (int64_t left = tile.pairs; left > 0; --left) {
    if constexpr (kLocality > 0) {
      __builtin_prefetch(ahead, 0, kLocality);
      __builtin_prefetch(ahead + 64, 0, kLocality);
      ahead += tile.ahead_step;
    }
    const __m512bh w0 = LoadPairs(weights), w1 = LoadPairs(weights + 32);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const __m512bh pair = BroadcastPair(x[r / 3] + (r % 3) * stride);
      sums[r][0] = _mm512_dpbf16_ps(sums[r][0], pair, w0);
      sums[r][1] = _mm512_dpbf16_ps(sums[r][1], pair, w1);
    }
    weights += 2 * kPanelOutputs;
#pragma GCC unroll 16
    for (int i = 0; i < kPointers; ++i) x[i] += PairBytes(RowForm::kPairs);
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      _mm512_storeu_ps(to + kPanelOutputs * r + 16 * v, sums[r][v]);
    }
  }
}

template <int kRows>
void AddPairsExactly(const PairTile& tile, int64_t count, float* to) {
  if (count == kRows) {
    if (tile.many) return AddPairRows<kRows, 2>(tile, to);
    // Of one or two rows the processor's own prefetch is faster alone.
    constexpr int kLocality = kRows >= 3 ? 3 : 0;
    return AddPairRows<kRows, kLocality>(tile, to);
  }
  if constexpr (kRows > 1) AddPairsExactly<kRows - 1>(tile, count, to);
}

}  // namespace

void AddPairs(const PairTile& tile, int64_t count, float* sums) {
  AddPairsExactly<kRowTile>(tile, count, sums);
}

// vcvtneps2bf16 takes denormals for zeros, too.
void RoundByInstruction(const float* x, int64_t count, uint16_t* to) {
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i));
    _mm512_storeu_si512(to + i, reinterpret_cast<__m512i>(both));
  }
  for (; i < count; i += 16) {
    const int64_t left = std::min<int64_t>(16, count - i);
    const auto mask = static_cast<__mmask16>((1 << left) - 1);
    const __m256bh some = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, x + i));
    _mm256_mask_storeu_epi16(to + i, mask, reinterpret_cast<__m256i>(some));
  }
}

}  // namespace dyad::kernels
HWY_POP_ATTRIBUTES

#else

namespace dyad::kernels {
void AddPairs(const PairTile&, int64_t, float*) {}
void RoundByInstruction(const float*, int64_t, uint16_t*) {}
}  // namespace dyad::kernels

#endif
