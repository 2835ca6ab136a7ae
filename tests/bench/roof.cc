// Streaming reads and a large sgemm: tests/bench/roof.h.
#include "tests/bench/roof.h"

#include <atomic>

#include "kernels/aligned_buffer.h"
#include "tests/bench/timing.h"
#include "tests/bench/torch_layers.h"

namespace dyad::bench {
namespace {

constexpr int64_t kPieces =
    32;  // tasks a read is split into: the larger of two threads' shares is short

// Many sums, so that adding is never what the loop waits for. Wide loads where the processor has
// them: in the small caches they are what limits.
#if defined(__x86_64__)
__attribute__((target_clones("avx2", "default")))
#endif
uint64_t
Sum(const uint64_t* data, int64_t count) {
  uint64_t sums[32] = {};
  for (int64_t i = 0; i + 32 <= count; i += 32) {
    for (int64_t j = 0; j < 32; ++j) sums[j] += data[i + j];
  }
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total;
}

}  // namespace

ReadRate MeasureRead(int64_t bytes, kernels::ThreadPool& pool) {
  const kernels::AlignedBuffer buffer(bytes);
  auto* data = buffer.as<uint64_t>();
  const int64_t count = bytes / 8;
  std::fill_n(data, count, uint64_t{1});
  const int64_t rounds = std::max<int64_t>(1, (int64_t{4} << 20) / bytes);
  std::atomic<uint64_t> total = 0;  // used, so that reading cannot be left out
  const double seconds = BestSeconds([&](int64_t) {
    pool.Run(kPieces, [&](int64_t piece) {
      const int64_t first = piece * count / kPieces, last = (piece + 1) * count / kPieces;
      uint64_t sum = 0;
      for (int64_t round = 0; round < rounds; ++round) sum += Sum(data + first, last - first);
      total += sum;
    });
  });
  return {bytes, static_cast<double>(bytes * rounds) / seconds};
}

std::vector<ReadRate> MeasureReadBySize(kernels::ThreadPool& pool) {
  std::vector<ReadRate> rates;
  for (int64_t bytes = int64_t{256} << 10; bytes <= kStreamBytes; bytes *= 4) {
    rates.push_back(MeasureRead(bytes, pool));
  }
  return rates;
}

Roof MeasureRoof(kernels::ThreadPool& pool) {
  return {MeasureRead(kStreamBytes, pool).bytes_per_second, TorchSgemmRate(pool.threads())};
}

}  // namespace dyad::bench
