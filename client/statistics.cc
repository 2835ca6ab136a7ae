// Plain sums in double, in the order that the header gives.
#include "client/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "absl/strings/str_format.h"
#include "server/base/philox.h"

namespace dyad::client {
namespace {

// Ranks from 1; equal values share the mean of theirs.
std::vector<double> Ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) ++last;
    const double rank = static_cast<double>(first + last) / 2 + 1;
    for (; first <= last; ++first) ranks[order[first]] = rank;
  }
  return ranks;
}

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double DrawnMean(const std::vector<double>& scores, uint32_t stratum, uint32_t draw) {
  const uint64_t n = scores.size();
  PhiloxCounter words = {};
  double sum = 0;
  for (uint64_t k = 0; k < n; ++k) {
    if (k % 4 == 0) words = Philox({static_cast<uint32_t>(k / 4), stratum, draw, 0}, {0, 0});
    sum += scores[words[k % 4] * n >> 32];
  }
  return sum / static_cast<double>(n);
}

}  // namespace

std::string IntervalText(const Interval& interval) {
  return absl::StrFormat("%.4f to %.4f", interval.low, interval.high);
}

Interval WilsonInterval(double successes, int64_t n) {
  constexpr double z = 1.959963984540054;  // of 97.5 % of the normal distribution
  const double count = static_cast<double>(n), p = successes / count, z2 = z * z;
  const double centre = p + z2 / (2 * count);
  const double half = z * std::sqrt(p * (1 - p) / count + z2 / (4 * count * count));
  const double divisor = 1 + z2 / count;
  // Rounding may leave the range by a bit.
  return {std::max(0.0, (centre - half) / divisor), std::min(1.0, (centre + half) / divisor)};
}

double WeightedMean(const std::vector<Stratum>& strata) {
  double mean = 0;
  for (const Stratum& stratum : strata) mean += stratum.weight * Mean(stratum.scores);
  return mean;
}

Interval BootstrapInterval(std::vector<Stratum> strata) {
  for (Stratum& stratum : strata) std::sort(stratum.scores.begin(), stratum.scores.end());
  std::vector<double> means(kBootstrapDraws);
  for (uint32_t draw = 0; draw < means.size(); ++draw) {
    for (uint32_t r = 0; r < strata.size(); ++r) {
      means[draw] += strata[r].weight * DrawnMean(strata[r].scores, r, draw);
    }
  }
  std::sort(means.begin(), means.end());
  constexpr size_t kTail = kBootstrapDraws / 40;
  return {means[kTail], means[kBootstrapDraws - 1 - kTail]};
}

double SpearmanCorrelation(const std::vector<double>& x, const std::vector<double>& y) {
  if (x.empty()) return std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> a = Ranks(x), b = Ranks(y);
  const double mean_a = Mean(a), mean_b = Mean(b);
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return ab / std::sqrt(aa * bb);
}

double McNemarP(int64_t b, int64_t c) {
  const int64_t n = b + c, less = std::min(b, c);
  // ln of n over k, divided by 2^n: large n would leave the range otherwise.
  double p = 0;
  for (int64_t k = 0; k <= less; ++k) {
    const auto x = static_cast<double>(k), y = static_cast<double>(n);
    p += std::exp(std::lgamma(y + 1) - std::lgamma(x + 1) - std::lgamma(y - x + 1) -
                  y * std::log(2.0));
  }
  return std::min(1.0, 2 * p);
}

std::vector<double> HolmAdjusted(const std::vector<double>& p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double most = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    most = std::max(most, static_cast<double>(p.size() - i) * p[order[i]]);
    adjusted[order[i]] = std::min(1.0, most);
  }
  return adjusted;
}

}  // namespace dyad::client
