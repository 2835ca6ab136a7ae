// What a kernel sees of CUDA when the host's compiler builds it: built-in variables, vector types,
// and the wrappers of kernels/cuda/ptx.cuh. Memory is touched here, in the kernel's own translation
// unit and by the lane that names it, so that sanitizers see who it was.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/float16.h"
#include "tests/cuda_on_cpu/block.h"

#define __global__
#define __device__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __grid_constant__
#define threadIdx (::dyad::cuda_on_cpu::ThreadIndex())
#define blockIdx (::dyad::cuda_on_cpu::BlockIndex())
#define blockDim (::dyad::cuda_on_cpu::BlockSize())

struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
using std::min;

inline void __syncthreads() { ::dyad::cuda_on_cpu::Barrier(0, ::dyad::cuda_on_cpu::Threads()); }
inline void __syncwarp() { ::dyad::cuda_on_cpu::WarpBarrier(); }
// `width` divides the warp; lanes meet within their part of it.
template <typename T>
T __shfl_xor_sync(unsigned, T value, int mask, int = 32) {
  static_assert(sizeof(T) == 4);
  const int lane = static_cast<int>(threadIdx.x % 32);
  return std::bit_cast<T>(
      ::dyad::cuda_on_cpu::Shuffle(std::bit_cast<uint32_t>(value), lane ^ mask));
}
inline float __uint_as_float(uint32_t bits) { return std::bit_cast<float>(bits); }
inline uint32_t __byte_perm(uint32_t a, uint32_t b, uint32_t selector) {
  const uint64_t both = uint64_t{b} << 32 | a;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    result |= static_cast<uint32_t>(both >> 8 * (selector >> 4 * i & 7) & 0xff) << 8 * i;
  }
  return result;
}
inline uint32_t __float_as_uint(float value) { return std::bit_cast<uint32_t>(value); }

namespace dyad::kernels::cuda {

using Shared = unsigned char*;
inline Shared SharedAddress(const void* p) {
  return static_cast<unsigned char*>(const_cast<void*>(p));
}
inline unsigned char* DynamicShared() { return cuda_on_cpu::SharedMemory(); }

inline float WidenFloat16(uint32_t bits) { return FromFloat16(static_cast<uint16_t>(bits)); }
inline uint32_t SubtractHalves(uint32_t a, uint32_t b) {
  uint32_t result = 0;
  for (int shift = 0; shift < 32; shift += 16) {
    const float difference = FromFloat16(static_cast<uint16_t>(a >> shift)) -
                             FromFloat16(static_cast<uint16_t>(b >> shift));
    result |= uint32_t{ToFloat16(difference)} << shift;
  }
  return result;
}

inline void LoadMatrix4(uint32_t (&r)[4], Shared row) {
  const auto* p = reinterpret_cast<const uint32_t*>(row);
  const uint32_t words[4] = {p[0], p[1], p[2], p[3]};
  cuda_on_cpu::LoadMatrix4(words, r);
}
struct Bf16 {};
struct F16 {};
inline void Mma(Bf16, float (&d)[4], const uint4& a, uint32_t b0, uint32_t b1) {
  const uint32_t of_a[4] = {a.x, a.y, a.z, a.w}, of_b[2] = {b0, b1};
  cuda_on_cpu::Multiply(cuda_on_cpu::Operand::kBfloat16, of_a, of_b, d);
}
inline void Mma(F16, float (&d)[4], const uint4& a, uint32_t b0, uint32_t b1) {
  const uint32_t of_a[4] = {a.x, a.y, a.z, a.w}, of_b[2] = {b0, b1};
  cuda_on_cpu::Multiply(cuda_on_cpu::Operand::kFloat16, of_a, of_b, d);
}
// The destination is NaN until the copy has been waited for.
inline void CopyAsync16(Shared to, const void* from, bool ok) {
  std::memset(to, 0xff, 16);
  cuda_on_cpu::AddCopy({to, from, ok ? 16u : 0u, ok ? 0u : 16u});
}
inline void CopyAsync4(Shared to, const void* from, bool ok) {
  std::memset(to, 0xff, 4);
  cuda_on_cpu::AddCopy({to, from, ok ? 4u : 0u, ok ? 0u : 4u});
}
inline void CommitCopies() { cuda_on_cpu::CommitCopies(); }
template <int kPending>
void WaitCopies() {
  for (const cuda_on_cpu::Copy& copy : cuda_on_cpu::TakeCopies(kPending)) {
    std::memcpy(copy.to, copy.from, copy.bytes);
    std::memset(static_cast<char*>(copy.to) + copy.bytes, 0, copy.zeros);
  }
}
inline constexpr bool kHasBulkCopies = true;
inline void NamedBarrier(int id, int threads) { cuda_on_cpu::Barrier(id, threads); }
inline void BarrierInit(Shared barrier, int arrivals) {
  cuda_on_cpu::InitBarrier(barrier, arrivals);
}
inline void FenceBarrierInit() {}
inline void BarrierArrive(Shared barrier) { cuda_on_cpu::Arrive(barrier, 0); }
inline void BarrierExpect(Shared barrier, uint32_t bytes) { cuda_on_cpu::Arrive(barrier, bytes); }
inline void BarrierWait(Shared barrier, int parity) {
  cuda_on_cpu::Wait(barrier, static_cast<unsigned>(parity));
}
inline void BulkCopy(Shared to, const void* from, uint32_t bytes, Shared barrier) {
  std::memset(to, 0xff, bytes);
  cuda_on_cpu::BulkCopy({to, from, bytes, 0}, barrier);
}
inline void WaitForEarlierKernel() {}
inline void LaunchLaterKernel() {}

}  // namespace dyad::kernels::cuda
