// Logarithmic buckets.
#include "tests/bench/percentiles.h"

#include <algorithm>
#include <cmath>

namespace dyad::bench {
namespace {

constexpr double kLeast = 1e-7, kMost = 1e5;  // seconds
const double kWidth = std::log(1.005);
const auto kBuckets = static_cast<int64_t>(std::log(kMost / kLeast) / kWidth) + 1;

int64_t BucketOf(double seconds) {
  if (!(seconds > kLeast)) return 0;
  return std::min(kBuckets - 1, static_cast<int64_t>(std::log(seconds / kLeast) / kWidth));
}

}  // namespace

Percentiles::Percentiles() : buckets_(static_cast<size_t>(kBuckets)) {}

void Percentiles::Add(double seconds, int64_t count) {
  buckets_[static_cast<size_t>(BucketOf(seconds))] += count;
  count_ += count;
  sum_ += seconds * static_cast<double>(count);
  if (count > 0) max_ = std::max(max_, seconds);
}

double Percentiles::At(double percent) const {
  if (count_ == 0) return 0;
  const double rank = std::max(1.0, std::ceil(percent / 100 * static_cast<double>(count_)));
  int64_t before = 0;
  size_t bucket = 0;
  while (bucket + 1 < buckets_.size()) {
    before += buckets_[bucket];
    if (static_cast<double>(before) >= rank) break;
    ++bucket;
  }
  const double middle = kLeast * std::exp((static_cast<double>(bucket) + 0.5) * kWidth);
  return std::min(middle, max_);
}

}  // namespace dyad::bench
