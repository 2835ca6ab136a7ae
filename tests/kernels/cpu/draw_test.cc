// Draws by selection against the definition, which sorts: equal for every setting, on every
// instruction set; and frequencies against the definition's probabilities.
#include "kernels/cpu/draw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "kernels/cpu/weights.h"
#include "kernels/reference/draw.h"
#include "tests/kernels/sample_layers.h"
#include "tests/support/sanitized.h"

namespace dyad::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Rows of many kinds: spread as a model's, nearly flat, on a coarse grid so that ties fall on the
// edges of filters, all equal; some with numbers that are none.
std::vector<float> RandomRow(std::mt19937& random) {
  std::vector<float> row(1 + random() % (random() % 8 == 0 ? 8000 : 600));
  const uint32_t kind = random() % 5;
  std::normal_distribution<float> normal(0, kind == 0 ? 4.0f : kind == 1 ? 1e-4f : 1.0f);
  for (float& logit : row) {
    logit = normal(random);
    if (kind == 2) logit = std::round(logit * 2) / 2;
    if (kind == 3) logit = -3;
  }
  if (random() % 4 == 0) {
    for (int i = 0; i < 5; ++i) {
      const float odd[] = {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()};
      row[random() % row.size()] = odd[random() % 3];
    }
  }
  return row;
}

DrawRow RandomDraw(std::mt19937& random, size_t ids) {
  const float temperatures[] = {0.01f, 0.3f, 0.8f, 1, 1.5f, 100};
  DrawRow draw;
  draw.temperature = temperatures[random() % 6];
  if (random() % 2) draw.top_k = 2 + static_cast<int32_t>(random() % (ids + 10));
  if (random() % 2) draw.top_p = static_cast<float>(random() % 1001) / 1000;
  if (random() % 2) draw.min_p = std::exp(-static_cast<float>(random() % 100) / 10);
  draw.uniform = uint64_t{random()} << 32 | random();
  if (random() % 10 == 0) draw.uniform = random() % 2 ? 0 : ~uint64_t{0};
  return draw;
}

int32_t DrawHere(const std::vector<float>& row, const DrawRow& draw, Scratch& scratch) {
  return DrawFrom(row, BestOf(row).logit, draw, scratch);
}

constexpr int kSettings = testing::kSanitized ? 500 : 10'000;

TEST(DrawFromTest, EqualsTheDefinitionForTenThousandSettings) {
  for (const std::string_view isa : SupportedIsas()) {
    const WithIsa with(isa);
    std::mt19937 random(1);
    Scratch scratch;
    for (int i = 0; i < kSettings; ++i) {
      const std::vector<float> row = RandomRow(random);
      const DrawRow draw = RandomDraw(random, row.size());
      ASSERT_EQ(DrawHere(row, draw, scratch), reference::Draw(row, draw, {}))
          << isa << ", setting " << i << ": " << row.size() << " ids, temperature "
          << draw.temperature << ", top_k " << draw.top_k << ", top_p " << draw.top_p << ", min_p "
          << draw.min_p;
    }
  }
}

// Which ids stay is all that a filter decides: seen at the seams of the running sum, where a weight
// more or less would change the id.
TEST(DrawFromTest, KeepsJustTheIdsOfTheDefinition) {
  std::mt19937 random(2);
  Scratch scratch;
  for (int i = 0; i < kSettings / 50; ++i) {
    const std::vector<float> row = RandomRow(random);
    DrawRow draw = RandomDraw(random, row.size());
    const auto weights = reference::DrawWeights(reference::AdjustedLogits(row, {}), draw);
    const uint64_t sum = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
    uint64_t running = 0;
    for (size_t id = 0; id < weights.size(); ++id) {
      if (weights[id] == 0) continue;
      // The least uniform number at which floor(uniform · sum / 2^64) is `running`.
      __extension__ using Wide = unsigned __int128;
      draw.uniform = static_cast<uint64_t>(((Wide{running} << 64) + sum - 1) / sum);
      ASSERT_EQ(DrawHere(row, draw, scratch), static_cast<int32_t>(id)) << i;
      running += weights[id];
    }
  }
}

// Pearson's statistic over ids that are expected at least five times, the others together. For
// k degrees of freedom it is near k with deviation √(2k); six of those fail once in 10^8.
TEST(DrawFromTest, FrequenciesAreTheDefinitionsProbabilities) {
  std::mt19937_64 random(3);
  std::mt19937 rows(4);
  Scratch scratch;
  for (const DrawRow& settings :
       {DrawRow{.temperature = 1}, DrawRow{.temperature = 0.8f, .top_k = 50, .top_p = 0.95f},
        DrawRow{.temperature = 0.8f, .top_p = 0.9f},
        DrawRow{.temperature = 1.5f, .min_p = 0.05f}}) {
    std::vector<float> row(300);
    std::normal_distribution<float> normal(0, 2);
    for (float& logit : row) logit = normal(rows);
    const auto weights = reference::DrawWeights(row, settings);
    const auto sum =
        static_cast<double>(std::accumulate(weights.begin(), weights.end(), uint64_t{0}));
    constexpr int kDraws = testing::kSanitized ? 10'000 : 50'000;
    std::vector<int> drawn(row.size());
    DrawRow draw = settings;
    for (int i = 0; i < kDraws; ++i) {
      draw.uniform = random();
      ++drawn[static_cast<size_t>(DrawHere(row, draw, scratch))];
    }
    double statistic = 0, rare_expected = 0, rare_drawn = 0;
    int degrees = -1;
    const auto add = [&](double found, double expected) {
      statistic += (found - expected) * (found - expected) / expected;
      ++degrees;
    };
    for (size_t id = 0; id < row.size(); ++id) {
      const double expected = kDraws * static_cast<double>(weights[id]) / sum;
      if (weights[id] == 0) {
        EXPECT_EQ(drawn[id], 0) << id;
      }
      if (expected >= 5) {
        add(drawn[id], expected);
      } else {
        rare_expected += expected;
        rare_drawn += drawn[id];
      }
    }
    if (rare_expected >= 5) add(rare_drawn, rare_expected);
    EXPECT_GT(degrees, 5);
    EXPECT_LT(statistic, degrees + 6 * std::sqrt(2.0 * degrees));
  }
}

// One weight moved by one step must be seen by the comparison above.
TEST(DrawFromTest, ALogitMoreIsAnotherDraw) {
  std::vector<float> row(2000, 0.0f);
  Scratch scratch;
  const DrawRow draw = {.temperature = 1, .top_p = 0.5f, .uniform = ~uint64_t{0}};
  EXPECT_EQ(DrawHere(row, draw, scratch), 999);
  row[1500] = 1e-6f;
  EXPECT_EQ(DrawHere(row, draw, scratch), 1500);
}

}  // namespace
}  // namespace dyad::kernels
