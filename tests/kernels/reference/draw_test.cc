// The definition of a draw: its steps worked by hand, and its probabilities against softmax in
// double with filters written once more, from the other end.
#include "kernels/reference/draw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace dyad::kernels::reference {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr uint64_t kOne = uint64_t{1} << 39;

using Weights = std::vector<uint64_t>;

TEST(ReferenceDrawTest, AdjustsInOrderAndTames) {
  const std::vector<float> logits = {8, -8, 1, kNan, kInfinity, -kInfinity};
  const std::vector<Adjustment> adjustments = {{.id = 0, .penalty = 2, .subtract = 1, .add = 0.5f},
                                               {.id = 1, .penalty = 2, .subtract = 1, .add = 0.5f}};
  const float most = std::numeric_limits<float>::max();
  EXPECT_EQ(AdjustedLogits(logits, adjustments),
            (std::vector<float>{3.5f, -16.5f, 1, -kInfinity, most, -kInfinity}));
}

TEST(ReferenceDrawTest, GreedyTakesTheLowestOfTheLargest) {
  const std::vector<float> logits = {1, 3, 3, 2};
  EXPECT_EQ(DrawWeights(logits, {}), (Weights{0, 1, 0, 0}));
  EXPECT_EQ(DrawWeights(logits, {.temperature = 2, .top_k = 1}), (Weights{0, 1, 0, 0}));
  EXPECT_EQ(Draw(logits, {.uniform = ~uint64_t{0}}, {}), 1);
}

TEST(ReferenceDrawTest, LogitsThatAreNoNumbersAreNeverPreferred) {
  for (const float temperature : {0.0f, 1.0f}) {
    const DrawRow draw = {.temperature = temperature, .uniform = 1234567890123456789};
    EXPECT_EQ(Draw(std::vector<float>{kNan, -2, kNan}, draw, {}), 1);
    EXPECT_EQ(Draw(std::vector<float>{-kInfinity, kNan, -700}, draw, {}), 2);
    EXPECT_EQ(Draw(std::vector<float>{0, kInfinity, 0}, draw, {}), 1);
    EXPECT_EQ(Draw(std::vector<float>{kNan, kNan}, draw, {}), 0);
    EXPECT_EQ(Draw(std::vector<float>{-kInfinity, -kInfinity}, draw, {}), 0);
  }
}

TEST(ReferenceDrawTest, FiltersWorkOnWhatIsLeftAndTiesGoToTheLowerId) {
  const std::vector<float> equal(4, 1.0f);
  EXPECT_EQ(DrawWeights(equal, {.temperature = 1, .top_k = 3}), (Weights{kOne, kOne, kOne, 0}));
  // Reached by two of four, exactly; by three if it is a little more.
  EXPECT_EQ(DrawWeights(equal, {.temperature = 1, .top_p = 0.5f}), (Weights{kOne, kOne, 0, 0}));
  EXPECT_EQ(DrawWeights(equal, {.temperature = 1, .top_p = 0.51f}), (Weights{kOne, kOne, kOne, 0}));
  EXPECT_EQ(DrawWeights(equal, {.temperature = 1, .top_p = 0}), (Weights{kOne, 0, 0, 0}));
  // top_p of the three that top_k left.
  EXPECT_EQ(DrawWeights(equal, {.temperature = 1, .top_k = 3, .top_p = 0.6f}),
            (Weights{kOne, kOne, 0, 0}));
  // e^-27.1 is less than 2^-39; min_p counts from the largest.
  const std::vector<float> falling = {-27.1f, -26.9f, -1, 0};
  const Weights weights = DrawWeights(falling, {.temperature = 1});
  EXPECT_EQ(weights[0], 0u);
  EXPECT_EQ(weights[1], 1u);
  EXPECT_EQ(weights[3], kOne);
  EXPECT_EQ(DrawWeights(falling, {.temperature = 1, .min_p = 0.3f}),
            (Weights{0, 0, weights[2], kOne}));
  EXPECT_EQ(DrawWeights(falling, {.temperature = 1, .min_p = 0.4f}), (Weights{0, 0, 0, kOne}));
  EXPECT_EQ(DrawWeights(falling, {.temperature = 1, .min_p = 1}), (Weights{0, 0, 0, kOne}));
}

TEST(ReferenceDrawTest, TheRunningSumGoesUpThroughTheIds) {
  const std::vector<float> equal(4, 1.0f);
  const uint64_t quarter = uint64_t{1} << 62;
  for (const int32_t id : {0, 1, 2, 3}) {
    const uint64_t first = quarter * static_cast<uint64_t>(id);
    EXPECT_EQ(Draw(equal, {.temperature = 1, .uniform = first}, {}), id);
    EXPECT_EQ(Draw(equal, {.temperature = 1, .uniform = first + quarter - 1}, {}), id);
  }
}

TEST(ReferenceDrawTest, ATinyTemperatureIsGreedyAndDoesNotOverflow) {
  const std::vector<float> logits = {-1e30f, 1e30f, 9e29f};
  const float tiny = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(DrawWeights(logits, {.temperature = tiny}), (Weights{0, kOne, 0}));
}

TEST(ReferenceDrawTest, ProductsAndTheirHighHalvesAreThoseOf128Bits) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 10000; ++i) {
    const uint64_t a = random() >> random() % 64, b = random() >> random() % 64;
    __extension__ using Wide = unsigned __int128;
    EXPECT_EQ(MultiplyHigh(a, b), static_cast<uint64_t>((Wide{a} * b) >> 64));
  }
  EXPECT_EQ(WantedWeight(0.5f, 4), 2u);
  EXPECT_EQ(WantedWeight(0.5f, 5), 3u);
  EXPECT_EQ(WantedWeight(0, 5), 0u);
}

// Of each id, in double; filters find their ids one by one.
std::vector<double> Softmax(const std::vector<float>& logits, const DrawRow& draw) {
  std::vector<double> weights;
  for (const float logit : logits) {
    weights.push_back(std::exp(static_cast<double>(logit) / draw.temperature));
  }
  const auto largest = [](const std::vector<double>& of) {
    return std::max_element(of.begin(), of.end()) - of.begin();
  };
  std::vector<double> kept(weights.size());
  const auto keep_while = [&](auto more) {
    std::fill(kept.begin(), kept.end(), 0);
    for (int32_t ids = 0;
         more(ids, std::accumulate(kept.begin(), kept.end(), 0.0)) && ids < std::ssize(kept);
         ++ids) {
      const auto best = largest(weights);
      std::swap(kept[static_cast<size_t>(best)], weights[static_cast<size_t>(best)]);
    }
    weights = kept;
  };
  if (draw.top_k > 0) keep_while([&](int32_t ids, double) { return ids < draw.top_k; });
  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (draw.top_p < 1) keep_while([&](int32_t, double sum) { return sum < draw.top_p * all; });
  const double best = weights[static_cast<size_t>(largest(weights))];
  for (double& weight : weights) weight = weight < draw.min_p * best ? 0 : weight;
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight /= sum;
  return weights;
}

TEST(ReferenceDrawTest, ProbabilitiesAreThoseOfSoftmaxWithinTheirBound) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal(0, 3);
  for (int round = 0; round < 300; ++round) {
    std::vector<float> logits(1 + random() % 200);
    for (float& logit : logits) logit = normal(random);
    DrawRow draw = {.temperature = 0.25f * static_cast<float>(1 + random() % 8)};
    if (random() % 2) draw.top_k = 2 + static_cast<int32_t>(random() % 100);
    if (random() % 2) draw.top_p = static_cast<float>(1 + random() % 999) / 1000;
    if (random() % 2) draw.min_p = static_cast<float>(random() % 500) / 1000;
    const Weights weights = DrawWeights(logits, draw);
    const auto sum =
        static_cast<double>(std::accumulate(weights.begin(), weights.end(), uint64_t{0}));
    const std::vector<double> expected = Softmax(logits, draw);
    for (size_t id = 0; id < logits.size(); ++id) {
      const double found = static_cast<double>(weights[id]) / sum;
      // |s| <= 27; the sum is off as its terms are.
      EXPECT_NEAR(found, expected[id], 2 * (27 * 3 * 0x1p-24 + 0x1p-22) * expected[id] + 0x1p-39)
          << round << " " << id;
    }
  }
}

}  // namespace
}  // namespace dyad::kernels::reference
