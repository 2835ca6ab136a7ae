// Which instruction sets the kernels are compiled for. Include this before any header of Highway.
//
// SSE has no fused multiply-add, so it could not give the bits of the others; SVE has no fixed
// vector length, which the register tiles need. Left are AVX-512, AVX2, NEON, and one lane with
// std::fma.
#pragma once

#include "hwy/detect_targets.h"

#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
