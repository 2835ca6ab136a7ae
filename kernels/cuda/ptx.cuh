// Every instruction that CUDA C++ has no name for: the only asm of the project. The host's compiler
// sees the same names, defined for tests/cuda_on_cpu.
#pragma once

#include <cstdint>

#ifndef __CUDACC__
#include "cuda_on_cpu.h"
#else

#include <cuda_fp16.h>

namespace dyad::kernels::cuda {

using Shared = uint32_t;  // an address in shared memory

__device__ __forceinline__ Shared SharedAddress(const void* p) {
  return static_cast<Shared>(__cvta_generic_to_shared(p));
}
// The block's dynamic shared memory, 1024-byte aligned.
__device__ __forceinline__ unsigned char* DynamicShared() {
  extern __shared__ __align__(1024) unsigned char dynamic_shared[];
  return dynamic_shared;
}

// Of the low 16 bits; exact.
__device__ __forceinline__ float WidenFloat16(uint32_t bits) {
  return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
}

// Of each half a float16: a - b, rounded to nearest.
__device__ __forceinline__ uint32_t SubtractHalves(uint32_t a, uint32_t b) {
  uint32_t result;
  asm("sub.rn.f16x2 %0, %1, %2;\n" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

// Four 8x8 matrices of 16 bits; lane l names row l % 8 of matrix l / 8.
__device__ __forceinline__ void LoadMatrix4(uint32_t (&r)[4], Shared row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row));
}

// d += a · b, mma.m16n8k16 with float32 sums: kernels/reference/tensor.h.
struct Bf16 {};
struct F16 {};
__device__ __forceinline__ void Mma(Bf16, float (&d)[4], const uint4& a, uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void Mma(F16, float (&d)[4], const uint4& a, uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}

// 16 bytes from global to shared memory, at some time before the wait; zeros where not ok.
__device__ __forceinline__ void CopyAsync16(Shared to, const void* from, bool ok) {
  const int bytes = ok ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(to), "l"(from), "r"(bytes));
}
// The same for 4 bytes.
__device__ __forceinline__ void CopyAsync4(Shared to, const void* from, bool ok) {
  const int bytes = ok ? 4 : 0;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;\n" ::"r"(to), "l"(from), "r"(bytes));
}
__device__ __forceinline__ void CommitCopies() { asm volatile("cp.async.commit_group;\n"); }
// Nothing is read before the wait that stands after it: a thread may read what it copied itself.
template <int kPending>
__device__ __forceinline__ void WaitCopies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending) : "memory");
}

__device__ __forceinline__ void NamedBarrier(int id, int threads) {
  asm volatile("bar.sync %0, %1;\n" ::"r"(id), "r"(threads) : "memory");
}

// Barriers in shared memory and copies that they count: from compute capability 9.0 on.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
inline constexpr bool kHasBulkCopies = true;
#else
inline constexpr bool kHasBulkCopies = false;
#endif
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
__device__ __forceinline__ void BarrierInit(Shared barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(barrier), "r"(arrivals));
}
// Makes initialised barriers visible to the copy engine.
__device__ __forceinline__ void FenceBarrierInit() {
  asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory");
}
__device__ __forceinline__ void BarrierArrive(Shared barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];\n" ::"r"(barrier) : "memory");
}
// Arrives, and announces bytes that copies will bring.
__device__ __forceinline__ void BarrierExpect(Shared barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\n" ::"r"(barrier), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void BarrierWait(Shared barrier, int parity) {
  asm volatile(
      "{\n.reg .pred p;\nL1:\nmbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
      "@p bra L2;\nbra L1;\nL2:\n}\n" ::"r"(barrier),
      "r"(parity)
      : "memory");
}
__device__ __forceinline__ void BulkCopy(Shared to, const void* from, uint32_t bytes,
                                         Shared barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];\n" ::
          "r"(to),
      "l"(from), "r"(bytes), "r"(barrier)
      : "memory");
}
#else
__device__ __forceinline__ void BarrierInit(Shared, int) {}
__device__ __forceinline__ void FenceBarrierInit() {}
__device__ __forceinline__ void BarrierExpect(Shared, uint32_t) {}
__device__ __forceinline__ void BarrierWait(Shared, int) {}
__device__ __forceinline__ void BulkCopy(Shared, const void*, uint32_t, Shared) {}
#endif

// A kernel may begin before the one before it has ended; it waits here before it reads or writes
// what others do, too. The next one may begin when all blocks of threads have said so, or ended.
// Earlier generations run one after the other.
__device__ __forceinline__ void WaitForEarlierKernel() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;\n" ::: "memory");
#endif
}
__device__ __forceinline__ void LaunchLaterKernel() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;\n" ::: "memory");
#endif
}

}  // namespace dyad::kernels::cuda

#endif  // __CUDACC__
