// Plain sums in double, in the order that the header gives.
#include "client/statistics.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
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

// How many of `trials` drawn items are of the `hits` ones among `all`; 0 < hits < all.
class Binomial {
 public:
  Binomial() = default;  // of nothing yet

  Binomial(int64_t trials, int64_t hits, int64_t all) {
    const int64_t misses = all - hits, mode = (trials + 1) * hits / all;
    std::vector<double> weights;  // of the mode 1; downwards, then upwards from there
    double weight = 1;
    for (int64_t k = mode; k > 0 && weight >= kLeastWeight; --k) {
      weight =
          weight * static_cast<double>(k * misses) / static_cast<double>((trials - k + 1) * hits);
      weights.push_back(weight);
    }
    first_ = mode - static_cast<int64_t>(weights.size());
    std::reverse(weights.begin(), weights.end());
    weight = 1;
    weights.push_back(weight);
    for (int64_t k = mode; k < trials && weight >= kLeastWeight; ++k) {
      weight =
          weight * static_cast<double>((trials - k) * hits) / static_cast<double>((k + 1) * misses);
      weights.push_back(weight);
    }
    std::partial_sum(weights.begin(), weights.end(), std::back_inserter(below_or_here_));
  }

  // `uniform`: 0 or more, and less than 1 by 2⁻⁵³ or more.
  int64_t At(double uniform) const {
    const auto found = std::upper_bound(below_or_here_.begin(), below_or_here_.end(),
                                        uniform * below_or_here_.back());
    return first_ + (found - below_or_here_.begin());
  }

 private:
  static constexpr double kLeastWeight = 0x1p-60;  // finer than a uniform number is
  int64_t first_ = 0;
  std::vector<double> below_or_here_;  // sums of weights from first_ on
};

double Uniform(uint32_t stage, uint32_t stratum, uint32_t draw) {
  const PhiloxCounter words = Philox({stage / 2, stratum, draw, 0}, {0, 0});
  const uint64_t high = words[2 * (stage % 2)], low = words[2 * (stage % 2) + 1];
  return static_cast<double>(high << 21 | low >> 11) * 0x1p-53;
}

// Of each draw the mean of the items that it takes from stratum number `number`.
std::vector<double> DrawnMeans(const std::vector<double>& scores, uint32_t number) {
  std::map<double, int64_t> counts;
  for (const double score : scores) ++counts[score];
  std::vector<double> sums(kBootstrapDraws);
  std::vector<int64_t> open(kBootstrapDraws, static_cast<int64_t>(scores.size()));
  std::vector<uint32_t> order(kBootstrapDraws);  // draws that have as many open items together
  std::iota(order.begin(), order.end(), 0U);
  auto all = static_cast<int64_t>(scores.size());
  uint32_t stage = 0;
  for (const auto& [score, count] : counts) {
    std::sort(order.begin(), order.end(),
              [&](uint32_t a, uint32_t b) { return open[a] < open[b]; });
    Binomial binomial;
    int64_t trials = -1;
    for (const uint32_t draw : order) {
      int64_t taken = open[draw];
      if (count < all) {
        if (taken != trials) binomial = Binomial(trials = taken, count, all);
        taken = binomial.At(Uniform(stage, number, draw));
      }
      open[draw] -= taken;
      sums[draw] += score * static_cast<double>(taken);
    }
    all -= count;
    ++stage;
  }
  for (double& sum : sums) sum /= static_cast<double>(scores.size());
  return sums;
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

Interval BootstrapInterval(const std::vector<Stratum>& strata) {
  std::vector<double> means(kBootstrapDraws);
  for (uint32_t r = 0; r < strata.size(); ++r) {
    const std::vector<double> drawn = DrawnMeans(strata[r].scores, r);
    for (size_t draw = 0; draw < means.size(); ++draw)
      means[draw] += strata[r].weight * drawn[draw];
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
