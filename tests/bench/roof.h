// What this machine can do at most, measured in the run that uses it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/thread_pool.h"

namespace dyad::bench {

struct Roof {
  double read_bytes_per_second = 0;  // streaming over kStreamBytes
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

// Reads a working set of `bytes`, split over the pool's threads, again and again.
ReadRate MeasureRead(int64_t bytes, kernels::ThreadPool& pool);
std::vector<ReadRate> MeasureReadBySize(kernels::ThreadPool& pool);

Roof MeasureRoof(kernels::ThreadPool& pool);

}  // namespace dyad::bench
