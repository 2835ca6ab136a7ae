// The loops of a draw on every instruction set, against one number at a time.
#include "kernels/cpu/weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class WeightsTest : public testing::TestWithParam<std::string_view> {
 protected:
  WithIsa isa_{GetParam()};
};

// Logits from 0 down to where weights are 0.
std::vector<float> FallingLogits(int64_t count) {
  std::vector<float> logits = RandomFloats(count, 7);
  for (float& logit : logits) logit = std::abs(logit) * -30;
  return logits;
}

TEST_P(WeightsTest, BestIsTheFirstOfTheLargest) {
  EXPECT_EQ(BestOf(std::vector<float>{kNan, -kInfinity}).index, 0);
  EXPECT_EQ(BestOf(std::vector<float>{kNan, -5, -5}).index, 1);
  EXPECT_EQ(BestOf(std::vector<float>{1, kInfinity, kInfinity}).index, 1);
  EXPECT_EQ(BestOf(std::vector<float>{1, kInfinity}).logit, std::numeric_limits<float>::max());
  for (const size_t size : {1, 7, 8, 9, 16, 17, 33, 256}) {
    std::vector<float> logits = RandomFloats(static_cast<int64_t>(size), 1);
    for (const size_t at : {size / 3, size - 1}) {
      logits[at] = 2;
      EXPECT_EQ(BestOf(logits).index, static_cast<int64_t>(size / 3)) << size;
      EXPECT_EQ(BestOf(logits).logit, 2);
    }
  }
}

TEST_P(WeightsTest, WeighsEverySizeAsTheDefinition) {
  for (const int64_t size : {1, 15, 16, 17, 255, 256, 257, 1000}) {
    std::vector<float> logits = FallingLogits(size);
    logits[0] = 0;
    if (size > 20) logits[17] = kNan;
    const int64_t padded = (size + kWeightGroup - 1) / kWeightGroup * kWeightGroup;
    std::vector<float> weights(static_cast<size_t>(padded), -1.0f);
    std::vector<uint64_t> sums(static_cast<size_t>((size + 255) / 256));
    Weigh({.logits = logits,
           .largest = 0,
           .inverse_temperature = 0.9f,
           .weights = weights.data(),
           .tile_sums = sums.data()});
    std::vector<uint64_t> expected_sums(sums.size());
    for (int64_t i = 0; i < padded; ++i) {
      const auto at = static_cast<size_t>(i);
      const float expected = i < size ? WeightOf(Tamed(logits[at]), 0, 0.9f) : 0;
      ASSERT_EQ(weights[at], expected) << i;
      if (i < size) expected_sums[at / 256] += static_cast<uint64_t>(expected);
    }
    EXPECT_EQ(sums, expected_sums);
  }
}

TEST_P(WeightsTest, CollectsAndSumsWhatLiesBetween) {
  std::vector<float> weights;
  for (int i = 0; i < 256; ++i) weights.push_back(static_cast<float>(i * 37 % 64) * 0x1p33f);
  for (int i = 0; i < 80; ++i) weights.push_back(kLargestWeight);  // into a second tile
  std::vector<float> found(weights.size() + kWeightGroup);
  const float low = 10 * 0x1p33f;
  for (const float high : {20 * 0x1p33f, std::numeric_limits<float>::infinity()}) {
    std::vector<float> expected;
    WeightTotal above;
    uint64_t inside = 0;
    for (const float weight : weights) {
      if (weight >= high) above = above + WeightTotal{1, static_cast<uint64_t>(weight)};
      if (weight < low || weight >= high) continue;
      expected.push_back(weight);
      inside += static_cast<uint64_t>(weight);
    }
    const CollectedWeights collected = CollectWeights(weights, {low, high}, found.data());
    EXPECT_EQ(std::vector<float>(found.begin(),
                                 found.begin() + static_cast<int64_t>(collected.inside.ids)),
              expected);
    EXPECT_EQ(collected.inside.weight, inside);
    EXPECT_EQ(collected.above.ids, above.ids);
    EXPECT_EQ(collected.above.weight, above.weight);
  }
  weights.resize(256);
  AboveEdge above;
  for (const float weight : weights) {
    if (weight > low) above.sum += static_cast<uint64_t>(weight);
    above.equal += weight == low;
  }
  EXPECT_EQ(SumAbove(weights, low).sum, above.sum);
  EXPECT_EQ(SumAbove(weights, low).equal, above.equal);
  // The most that a tile can hold.
  EXPECT_EQ(SumAbove(std::vector<float>(256, kLargestWeight), 1).sum, uint64_t{1} << 47);
}

INSTANTIATE_TEST_SUITE_P(Isas, WeightsTest, testing::ValuesIn(SupportedIsas()),
                         [](const auto& isa) { return std::string(isa.param); });

}  // namespace
}  // namespace dyad::kernels
