// Reductions of one tile of logits on every instruction set.
#include "kernels/cpu/score.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

class TileTest : public testing::TestWithParam<std::string_view> {
 protected:
  WithIsa isa_{GetParam()};
};

TEST_P(TileTest, SumsEverySizeFromMisalignedMemory) {
  const std::vector<float> values = RandomFloats(260, 1);
  for (const size_t size : {1, 7, 8, 9, 15, 16, 17, 31, 33, 255, 256}) {
    const auto logits = std::span<const float>(values).subspan(3, size);
    const TileSum tile = SumTile(logits);
    EXPECT_EQ(tile.maximum, *std::max_element(logits.begin(), logits.end()));
    double sum = 0;
    for (const float logit : logits) {
      sum += std::exp(static_cast<double>(logit) - static_cast<double>(tile.maximum));
    }
    EXPECT_NEAR(tile.sum, sum, (4 + 16 + 4) * 0x1p-24 * sum);
    const WithIsa scalar("scalar");
    EXPECT_EQ(SumTile(logits).sum, tile.sum);
  }
}

TEST_P(TileTest, SumsTheIdsOfASet) {
  const std::vector<float> logits = {1, 300, 2, 3, 200};
  const std::vector<uint8_t> id_sets = {1, 0, 3, 2, 4};
  const auto expect = [&](uint8_t set, TileSum expected) {
    const TileSum sum = SumSetOfTile(logits, id_sets, set);
    EXPECT_EQ(sum.maximum, expected.maximum);
    EXPECT_FLOAT_EQ(sum.sum, expected.sum);
  };
  expect(1, SumTile(std::vector<float>{1, 2}));
  expect(3, SumTile(std::vector<float>{1, 2, 3}));
  expect(4, {200, 1});
  expect(8, {-std::numeric_limits<float>::infinity(), 0});
}

TEST_P(TileTest, CountsWhatComesBeforeTheTarget) {
  const std::vector<float> logits = {1, 3, 2, 3, 5, 3};
  EXPECT_EQ(CountAhead(logits, 10, {3, 13}), 2);  // 5, and the equal one with a lower id
  EXPECT_EQ(CountAhead(logits, 10, {3, 9}), 1);   // target in an earlier tile
  EXPECT_EQ(CountAhead(logits, 10, {3, 99}), 4);  // in a later one
  EXPECT_EQ(CountAhead(logits, 10, {9, 10}), 0);
  EXPECT_EQ(CountAhead({}, 10, {9, 10}), 0);
}

TEST_P(TileTest, JoinsTilesOfARowAsLogSumDoes) {
  const std::vector<float> values = RandomFloats(600, 2);
  std::vector<TileSum> tiles;  // of 3 rows, side by side
  for (const float value : values) tiles.push_back({value * 20, 1 + std::abs(value)});
  for (size_t row = 0; row < 3; ++row) {
    LogSum total;
    for (size_t i = row; i < tiles.size(); i += 3) total.Add(tiles[i]);
    EXPECT_EQ(JoinTiles(&tiles[row], 200, 3), total.Get());
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, TileTest, testing::ValuesIn(SupportedIsas()),
                         [](const auto& isa) { return std::string(isa.param); });

TEST(LogSumTest, JoinsTilesWithRisingAndFallingMaxima) {
  for (const std::vector<float>& maxima :
       {std::vector<float>{1, 2, 3}, {3, 2, 1}, {-500, 0, 500}, {0, 0, 0}}) {
    LogSum total;
    long double expected = 0;
    const float largest = *std::max_element(maxima.begin(), maxima.end());
    for (const float maximum : maxima) {
      total.Add({maximum, 1.5f});
      expected += 1.5L * std::exp(static_cast<long double>(maximum) - largest);
    }
    EXPECT_FLOAT_EQ(total.Get(), static_cast<float>(largest + std::log(expected)));
  }
}

}  // namespace
}  // namespace dyad::kernels
