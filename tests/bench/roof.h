// What this machine can do at most, measured in the run that uses it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "kernels/cpu/aligned_buffer.h"
#include "kernels/cpu/thread_pool.h"

namespace dyad::bench {

struct Roof {
  double read_bytes_per_second = 0;  // streaming over kStreamBytes, at best
  double flops_per_second = 0;       // LibTorch's sgemm

  // The least time for work that reads `bytes` of weights and does `flops`.
  double Seconds(double bytes, double flops) const {
    return std::max(bytes / read_bytes_per_second, flops / flops_per_second);
  }
};

// More than any cache: weights that are to come from memory cycle through this much.
inline constexpr int64_t kStreamBytes = int64_t{256} << 20;

struct ReadRate {
  int64_t bytes = 0;
  double bytes_per_second = 0;
};

// Reads a working set of `bytes`, split over the pool's threads.
class StreamingRead {
 public:
  StreamingRead(int64_t bytes, kernels::ThreadPool& pool);
  // Reads all of it once, small ones more often.
  void Run();
  double BytesPerSecond();  // of one Run

 private:
  kernels::AlignedBuffer buffer_;
  kernels::ThreadPool& pool_;
  int64_t rounds_;
  std::atomic<uint64_t> total_ = 0;  // used, so that reading cannot be left out
};

std::vector<ReadRate> MeasureReadBySize(kernels::ThreadPool& pool);

Roof MeasureRoof(kernels::ThreadPool& pool);

}  // namespace dyad::bench
