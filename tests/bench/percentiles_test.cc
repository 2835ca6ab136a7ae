// Percentiles against sorted samples.
#include "tests/bench/percentiles.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace dyad::bench {
namespace {

constexpr double kWithin = 0.0026;  // relative

TEST(PercentilesTest, AreThoseOfTheSortedSamples) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> milliseconds(1.0, 2.0);
  for (const size_t count : {1u, 2u, 3u, 99u, 100u, 101u, 10007u}) {
    Percentiles percentiles;
    std::vector<double> samples(count);
    for (double& sample : samples) percentiles.Add(sample = milliseconds(random) * 1e-3);
    std::sort(samples.begin(), samples.end());
    for (const double percent : {0.0, 50.0, 90.0, 99.0, 100.0}) {
      const double rank = std::max(1.0, std::ceil(percent / 100 * static_cast<double>(count)));
      const double expected = samples[static_cast<size_t>(rank) - 1];
      EXPECT_NEAR(percentiles.At(percent), expected, kWithin * expected)
          << percent << " % of " << count;
    }
    EXPECT_EQ(percentiles.max(), samples.back());
  }
}

TEST(PercentilesTest, CountsAndMeansAddUp) {
  Percentiles percentiles;
  percentiles.Add(0.001, 3);
  percentiles.Add(0.1);
  percentiles.Add(0.5, 0);  // nothing
  EXPECT_EQ(percentiles.count(), 4);
  EXPECT_DOUBLE_EQ(percentiles.mean(), 0.103 / 4);
  EXPECT_EQ(percentiles.max(), 0.1);
  EXPECT_NEAR(percentiles.At(75), 0.001, kWithin * 0.001);
  EXPECT_NEAR(percentiles.At(76), 0.1, kWithin * 0.1);
}

TEST(PercentilesTest, OfNothingAreZero) {
  const Percentiles none;
  EXPECT_EQ(none.At(50), 0);
  EXPECT_EQ(none.mean(), 0);
  EXPECT_EQ(none.count(), 0);
}

TEST(PercentilesTest, DurationsOutsideTheBucketsAreKept) {
  Percentiles percentiles;
  for (const double seconds : {0.0, -1.0, 1e-12, 1e9}) percentiles.Add(seconds);
  EXPECT_EQ(percentiles.count(), 4);
  EXPECT_LE(percentiles.At(50), 1.1e-7);
  EXPECT_GT(percentiles.At(100), 9e4);
}

}  // namespace
}  // namespace dyad::bench
