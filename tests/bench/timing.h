// How dyad-bench times: short batches of calls. A time is that of the best batch, because other
// work on the machine only adds. A ratio is the median over pairs of neighbouring batches, because
// on a virtual machine the rate of the memory itself changes from one second to the next.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

namespace dyad::bench {

template <typename Work>
double SecondsOf(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Batches of call(i), i counting up from 0, that take about 1 / 50 s or one call each.
template <typename Call>
class Batches {
 public:
  // Warms up by two calls.
  explicit Batches(const Call& call) : call_(call) {
    call_(next_++);
    const double estimate = SecondsOf([&] { call_(next_++); });
    calls_ = std::max<int64_t>(1, static_cast<int64_t>(kBatchSeconds / estimate));
  }

  // Mean seconds of a call in one batch.
  double Run() {
    const double seconds = SecondsOf([&] {
      for (int64_t i = 0; i < calls_; ++i) call_(next_++);
    });
    return seconds / static_cast<double>(calls_);
  }

 private:
  static constexpr double kBatchSeconds = 0.02;
  const Call& call_;
  int64_t next_ = 0;
  int64_t calls_ = 0;
};

// Seconds per call in a batch, and what `reference` gave right before it.
struct Pair {
  double seconds = 0;
  double reference = 0;
};

constexpr int kBatchCount = 15;

template <typename Call, typename Reference>
std::vector<Pair> TimePairs(const Call& call, const Reference& reference) {
  Batches batches(call);
  std::vector<Pair> pairs;
  for (int i = 0; i < kBatchCount; ++i) {
    const double before = reference();
    pairs.push_back({batches.Run(), before});
  }
  return pairs;
}

inline double BestSeconds(const std::vector<Pair>& pairs) {
  double best = pairs.front().seconds;
  for (const Pair& pair : pairs) best = std::min(best, pair.seconds);
  return best;
}

template <typename Call>
double BestSeconds(const Call& call) {
  return BestSeconds(TimePairs(call, [] { return 0.0; }));
}

// Of ratio(pair) over all pairs.
template <typename Ratio>
double Median(const std::vector<Pair>& pairs, const Ratio& ratio) {
  std::vector<double> values;
  for (const Pair& pair : pairs) values.push_back(ratio(pair));
  const auto middle = values.begin() + static_cast<int64_t>(values.size()) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace dyad::bench
