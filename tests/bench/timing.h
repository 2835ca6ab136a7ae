// How dyad-bench times: the best of several short batches, because other work on the machine only
// adds.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace dyad::bench {

template <typename Work>
double SecondsOf(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Seconds per call of call(i), i counting up from 0: the best mean of `kBatches` batches that take
// about 1 / 50 s or one call each. The first call warms up and is not counted.
template <typename Call>
double BestSeconds(const Call& call) {
  constexpr int kBatches = 15;
  constexpr double kBatchSeconds = 0.02;
  int64_t next = 0;
  SecondsOf([&] { call(next++); });
  const double estimate = SecondsOf([&] { call(next++); });
  const auto calls = std::max<int64_t>(1, static_cast<int64_t>(kBatchSeconds / estimate));
  double best = estimate;
  for (int batch = 0; batch < kBatches; ++batch) {
    const double seconds = SecondsOf([&] {
      for (int64_t i = 0; i < calls; ++i) call(next++);
    });
    best = std::min(best, seconds / static_cast<double>(calls));
  }
  return best;
}

}  // namespace dyad::bench
