// AVX-512's instructions for which Highway has no name here, and what the sources that use them
// share. To be included by such a source alone, before any other header of intrinsics.
#pragma once

#include "hwy/base.h"

#if HWY_ARCH_X86

// g++ 12's own header passes what it calls undefined to its built-in functions, and warns of it.
#if HWY_COMPILER_GCC_ACTUAL
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include <cstdint>
#include <cstring>

HWY_PUSH_ATTRIBUTES("avx512f")
namespace dyad::kernels {

// Four bytes in all 16 lanes.
HWY_INLINE __m512i BroadcastFour(const uint8_t* from) {
  int32_t four;
  std::memcpy(&four, from, sizeof(four));
  return _mm512_set1_epi32(four);
}

}  // namespace dyad::kernels
HWY_POP_ATTRIBUTES

#endif
