// Percentiles of any number of durations in bounded memory: buckets that are 0.5 % apart.
#pragma once

#include <cstdint>
#include <vector>

namespace dyad::bench {

// Threads: one at a time.
class Percentiles {
 public:
  Percentiles();

  // `count` durations of `seconds`. Below 0.1 µs and above 10^5 s the buckets end.
  void Add(double seconds, int64_t count = 1);

  // The least duration that at least `percent` of all do not exceed (nearest rank), within 0.25 %;
  // percent in [0, 100]. 0 if there are none.
  double At(double percent) const;

  int64_t count() const { return count_; }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  double max() const { return max_; }  // exact

 private:
  std::vector<int64_t> buckets_;
  int64_t count_ = 0;
  double sum_ = 0;
  double max_ = 0;
};

}  // namespace dyad::bench
