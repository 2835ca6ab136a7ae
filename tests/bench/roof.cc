// Streaming reads and a large sgemm: tests/bench/roof.h.
#include "tests/bench/roof.h"

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

double BestRate(int64_t bytes, kernels::ThreadPool& pool) {
  StreamingRead read(bytes, pool);
  double best = 0;
  for (int batch = 0; batch < kBatchCount; ++batch) best = std::max(best, read.BytesPerSecond());
  return best;
}

}  // namespace

StreamingRead::StreamingRead(int64_t bytes, kernels::ThreadPool& pool)
    : buffer_(bytes), pool_(pool), rounds_(std::max<int64_t>(1, (int64_t{4} << 20) / bytes)) {
  std::fill_n(buffer_.as<uint64_t>(), bytes / 8, uint64_t{1});
}

void StreamingRead::Run() {
  const auto* data = buffer_.as<uint64_t>();
  const int64_t count = buffer_.bytes() / 8;
  pool_.Run(kPieces, [&](int64_t piece) {
    const int64_t first = piece * count / kPieces, last = (piece + 1) * count / kPieces;
    uint64_t sum = 0;
    for (int64_t round = 0; round < rounds_; ++round) sum += Sum(data + first, last - first);
    total_ += sum;
  });
}

double StreamingRead::BytesPerSecond() {
  const double seconds = SecondsOf([&] { Run(); });
  return static_cast<double>(buffer_.bytes() * rounds_) / seconds;
}

std::vector<ReadRate> MeasureReadBySize(kernels::ThreadPool& pool) {
  std::vector<ReadRate> rates;
  for (int64_t bytes = int64_t{256} << 10; bytes <= kStreamBytes; bytes *= 4) {
    rates.push_back({bytes, BestRate(bytes, pool)});
  }
  return rates;
}

Roof MeasureRoof(kernels::ThreadPool& pool) {
  return {BestRate(kStreamBytes, pool), TorchSgemmRate(pool.threads())};
}

}  // namespace dyad::bench
