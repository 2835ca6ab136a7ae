// What lies where in a page. That attention comes out right is tests/kernels/attention_test.cc's.
#include "kernels/cpu/attention.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

const AttentionShape kShape = {.heads = 2, .head_size = 5, .scale = 1, .rotary_size = 0};

TEST(PageViewTest, HeadsAndPagesDoNotOverlapAndFillAPage) {
  std::vector<float> memory(static_cast<size_t>(3 * KvPageFloats(kShape)));
  const PageView view = {kShape, {memory.data()}};
  std::multiset<int64_t> used;
  for (int64_t page = 0; page < 3; ++page) {
    for (int64_t head = 0; head < 2; ++head) {
      for (int64_t i = 0; i < 5 * 16; ++i) used.insert(view.keys(page, head) + i - memory.data());
      for (int64_t i = 0; i < 16 * 16; ++i) {
        used.insert(view.values(page, head) + i - memory.data());
      }
    }
  }
  EXPECT_EQ(used.size(), memory.size());
  EXPECT_EQ(std::set<int64_t>(used.begin(), used.end()).size(), memory.size());
  EXPECT_EQ(*used.rbegin(), static_cast<int64_t>(memory.size()) - 1);
}

TEST(StoreKeysAndValuesTest, WritesTheSlotsOfItsChunkAndZeroPaddingOnly) {
  std::vector<float> memory(static_cast<size_t>(3 * KvPageFloats(kShape)), -7.0f);
  const std::vector<float> rows = RandomFloats(3 * 30, 1);
  const QkvRows qkv = {{rows.data(), 30}, {rows.data() + 10, 30}, {rows.data() + 20, 30}, 5};
  const AttentionCall call = {kShape, {}, qkv, {memory.data()}, {}};
  const std::vector<int32_t> table = {2, 0};
  // Positions 15, 16, 17: the last slot of page 2, the first two of page 0.
  StoreKeysAndValues(call, {0, 3, 15, table}, 1);

  const PageView view = {kShape, {memory.data()}};
  const auto expect_row = [&](int64_t page, int64_t slot, int64_t row) {
    for (int64_t d = 0; d < 5; ++d) {
      EXPECT_EQ(view.keys(page, 1)[d * 16 + slot], rows[static_cast<size_t>(row * 30 + 15 + d)]);
      EXPECT_EQ(view.values(page, 1)[slot * 16 + d], rows[static_cast<size_t>(row * 30 + 25 + d)]);
    }
    for (int64_t d = 5; d < 16; ++d) EXPECT_EQ(view.values(page, 1)[slot * 16 + d], 0);
  };
  expect_row(2, 15, 0);
  expect_row(0, 0, 1);
  expect_row(0, 1, 2);
  EXPECT_EQ(std::count(memory.begin(), memory.end(), -7.0f),
            static_cast<int64_t>(memory.size()) - 3 * (5 + 16));
}

// Alone a token attends to itself: its value comes back.
TEST(AttendBlockTest, OneTokenGetsItsOwnValue) {
  std::vector<float> memory(static_cast<size_t>(KvPageFloats(kShape)));
  const std::vector<float> rows = RandomFloats(30, 1);
  const QkvRows qkv = {{rows.data(), 30}, {rows.data() + 10, 30}, {rows.data() + 20, 30}, 5};
  std::vector<float> out(10);
  const AttentionCall call = {kShape, {}, qkv, {memory.data()}, {out.data(), 10}};
  const std::vector<int32_t> table = {0};
  for (int64_t head = 0; head < 2; ++head) StoreKeysAndValues(call, {0, 1, 0, table}, head);
  AttendBlock(call, {0, 1, 0, table}, {.first = 0, .count = 1, .first_head = 0, .heads = 2});
  EXPECT_EQ(out, std::vector<float>(rows.begin() + 20, rows.end()));
}

}  // namespace
}  // namespace dyad::kernels
