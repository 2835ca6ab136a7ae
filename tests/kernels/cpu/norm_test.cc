// Against the definition, at awkward widths, and with equal bits in any batch.
#include "kernels/cpu/norm.h"

#include <cmath>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/reference/norm.h"

namespace dyad::kernels {
namespace {

std::vector<float> RandomRows(int64_t count, uint32_t seed) {
  std::vector<float> values(static_cast<size_t>(count));
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(3.0f, 2.0f);
  for (float& value : values) value = normal(random);
  return values;
}

std::vector<float> Normalized(const NormWeights& weights, const std::vector<float>& x,
                              int64_t features, int threads) {
  ThreadPool pool(threads);
  std::vector<float> y(x.size());
  NormalizeRows(weights, std::ssize(x) / features, features, {x.data(), features},
                {y.data(), features}, pool);
  return y;
}

TEST(NormTest, MatchesTheDefinitionAtAwkwardWidths) {
  for (const int64_t features : {1, 15, 16, 17, 31, 68, 768}) {
    const std::vector<float> x = RandomRows(5 * features, 1);
    std::vector<float> weight, bias;
    for (int64_t i = 0; i < features; ++i) {
      weight.push_back(1.0f + 0.25f * static_cast<float>(i % 5));
      bias.push_back(0.5f * static_cast<float>(i % 3));
    }
    const std::vector<float> y = Normalized({weight, bias}, x, features, 2);
    for (int64_t row = 0; row < 5; ++row) {
      const auto width = static_cast<size_t>(features);
      const auto expected = reference::Normalize(
          std::span(x).subspan(static_cast<size_t>(row) * width, width), weight, bias, 1e-5);
      for (size_t i = 0; i < width; ++i) {
        ASSERT_NEAR(y[static_cast<size_t>(row) * width + i], expected.y[i], 1e-5) << features;
      }
    }
  }
}

TEST(NormTest, WithoutWeightIsWeightOneAndBiasZero) {
  const std::vector<float> x = RandomRows(60, 2);
  const std::vector<float> ones(20, 1.0f), zeros(20, 0.0f);
  EXPECT_EQ(Normalized({}, x, 20, 1), Normalized({ones, zeros}, x, 20, 1));
}

TEST(NormTest, BitsOfARowDependOnTheRowAlone) {
  std::vector<float> x = RandomRows(67 * 76, 3);
  const std::vector<float> together = Normalized({}, x, 76, 2);
  for (int64_t row = 0; row < 67; ++row) {
    const std::vector<float> one(x.begin() + row * 76, x.begin() + (row + 1) * 76);
    const std::vector<float> alone = Normalized({}, one, 76, 1);
    ASSERT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + row * 76)) << row;
  }
  ThreadPool pool(2);
  NormalizeRows({}, 67, 76, {x.data(), 76}, {x.data(), 76}, pool);  // in place
  EXPECT_EQ(x, together);
}

TEST(NormTest, ConstantRowsStayFinite) {
  EXPECT_EQ(Normalized({}, std::vector<float>(8, 7.0f), 8, 1), std::vector<float>(8, 0.0f));
}

}  // namespace
}  // namespace dyad::kernels
