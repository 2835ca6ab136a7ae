// Marks functions that host and device code share.
//
// Always inlined: code that is compiled for an instruction set with a fused multiply-add then uses
// it, where a function of its own would call the C library's.
#pragma once

#ifdef __CUDACC__
#define DYAD_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define DYAD_HOST_DEVICE [[gnu::always_inline]] inline
#endif
