// One thread block of a kernel on the CPU: its threads are fibers that run one at a time, in an
// order drawn anew each round. What meets, waits and copies is here; what a kernel sees is
// cuda_on_cpu.h.
//
// A mistake that would hang or be undefined on a GPU ends the program with status 3 and a line:
// a barrier that not all threads reach, lanes of a warp in different collectives, a lane that left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/cuda/runtime.h"
#include "kernels/reference/tensor.h"

namespace dyad::cuda_on_cpu {

using kernels::cuda::Extent;

// Runs a grid block after block. One at a time in a process: others wait.
void RunGrid(Extent grid, Extent block, size_t shared_bytes, const std::function<void()>& body);

// Of the order of threads.
void SetSeed(uint32_t seed);
// The generation whose tensor cores Multiply follows. Compute capability 9.0 unless set.
void SetTensorCore(const kernels::reference::TensorCore& core);

// --- Of the thread that runs now ---

const Extent& ThreadIndex();
const Extent& BlockIndex();
const Extent& BlockSize();
int Threads();
unsigned char* SharedMemory();  // of the block; born as NaN, of exactly the size asked for

// Waits until `threads` threads have come to the barrier of this number, [0, 16).
void Barrier(int id, int threads);

// Collectives: the 32 lanes of a warp meet.
void WarpBarrier();
uint32_t Shuffle(uint32_t bits, int from_lane);
// `row`: the 16 bytes of the matrix row that this lane names.
void LoadMatrix4(const uint32_t* row, uint32_t* out);
enum class Operand { kBfloat16, kFloat16 };
void Multiply(Operand operand, const uint32_t* a, const uint32_t* b, float* d);

// Asynchronous copies of this thread: a group ends at Commit; TakeCopies gives back all groups but
// the last `keep`, for the kernel's own code to carry out, where sanitizers see who it was.
struct Copy {
  void* to = nullptr;
  const void* from = nullptr;
  unsigned bytes = 0, zeros = 0;
};
void AddCopy(Copy copy);
void CommitCopies();
std::vector<Copy> TakeCopies(int keep);

// Barriers in shared memory, and the bulk copies that they count.
void InitBarrier(void* barrier, int arrivals);
void Arrive(void* barrier, int64_t bytes);
void Wait(void* barrier, unsigned parity);
void BulkCopy(Copy copy, void* barrier);

}  // namespace dyad::cuda_on_cpu
