// What lies where in a page. That attention comes out right is tests/kernels/attention_test.cc's.
#include "kernels/cpu/attention.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "kernels/float16.h"
#include "kernels/step_arrays.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

const AttentionShape kShape = {.heads = 2, .head_size = 5, .scale = 1, .rotary_size = 0};

// Page memory of `count` elements of T.
template <typename T>
KvLayer LayerOf(std::vector<T>& memory, KvType type) {
  return {reinterpret_cast<std::byte*>(memory.data()), type};
}

template <typename T>
void ExpectPagesFilled(const AttentionShape& shape, KvType type) {
  const int64_t page_elements = KvPageBytes(shape, type) / static_cast<int64_t>(sizeof(T));
  std::vector<T> memory(static_cast<size_t>(3 * page_elements));
  const PageView<T> view = {shape, LayerOf(memory, type)};
  const int64_t d = shape.head_size, width = PaddedHeadSize(shape);
  std::multiset<int64_t> used;
  for (int64_t page = 0; page < 3; ++page) {
    for (int64_t head = 0; head < shape.heads; ++head) {
      for (int64_t i = 0; i < d * 16; ++i) used.insert(view.keys(page, head) + i - memory.data());
      for (int64_t i = 0; i < width * 16; ++i) {
        used.insert(view.values(page, head) + i - memory.data());
      }
    }
  }
  EXPECT_EQ(used.size(), static_cast<size_t>(3 * shape.heads * 16 * (d + width)));
  EXPECT_EQ(std::set<int64_t>(used.begin(), used.end()).size(), used.size());
  EXPECT_LT(*used.rbegin(), 3 * page_elements);
  EXPECT_GE(*used.rbegin(), 3 * page_elements - 64 / static_cast<int64_t>(sizeof(T)));
}

TEST(PageViewTest, HeadsAndPagesDoNotOverlapAndFillAPage) {
  ExpectPagesFilled<float>(kShape, KvType::kFloat32);
  ExpectPagesFilled<uint16_t>(kShape, KvType::kBfloat16);
  ExpectPagesFilled<uint16_t>({.heads = 1, .head_size = 1, .scale = 1, .rotary_size = 0},
                              KvType::kBfloat16);
}

// `stored`: a number as T.
template <typename T, typename Stored>
void ExpectStoredSlots(KvType type, T guard, Stored stored) {
  std::vector<T> memory(
      static_cast<size_t>(3 * KvPageBytes(kShape, type) / static_cast<int64_t>(sizeof(T))), guard);
  const std::vector<float> rows = RandomFloats(3 * 30, 1);
  const QkvRows qkv = {{rows.data(), 30}, {rows.data() + 10, 30}, {rows.data() + 20, 30}, 5};
  const std::vector<int32_t> table = {2, 0};
  // Positions 15, 16, 17: the last slot of page 2, the first two of page 0.
  StepArrays step;
  step.AddChunk({0, 3, 15, table});
  const StepInput input = step.view();
  const RotaryTable rotary = {};
  const AttentionWork work = {kShape, rotary, input, qkv, LayerOf(memory, type), {}};
  StoreKeysAndValues(work, 1);

  const PageView<T> view = {kShape, work.kv};
  const auto expect_row = [&](int64_t page, int64_t slot, int64_t row) {
    for (int64_t d = 0; d < 5; ++d) {
      EXPECT_EQ(view.keys(page, 1)[d * 16 + slot],
                stored(rows[static_cast<size_t>(row * 30 + 15 + d)]));
      EXPECT_EQ(view.values(page, 1)[slot * 16 + d],
                stored(rows[static_cast<size_t>(row * 30 + 25 + d)]));
    }
    for (int64_t d = 5; d < 16; ++d) EXPECT_EQ(view.values(page, 1)[slot * 16 + d], 0);
  };
  expect_row(2, 15, 0);
  expect_row(0, 0, 1);
  expect_row(0, 1, 2);
  EXPECT_EQ(std::count(memory.begin(), memory.end(), guard),
            static_cast<int64_t>(memory.size()) - 3 * (5 + 16));
}

TEST(StoreKeysAndValuesTest, WritesTheSlotsOfItsChunkAndZeroPaddingOnly) {
  ExpectStoredSlots(KvType::kFloat32, -7.0f, [](float value) { return value; });
  ExpectStoredSlots(KvType::kBfloat16, uint16_t{0xffff}, &ToBfloat16);
}

// Alone a token attends to itself: its value comes back.
TEST(AttendTileTest, OneTokenGetsItsOwnValue) {
  std::vector<float> memory(static_cast<size_t>(KvPageBytes(kShape, KvType::kFloat32) / 4));
  const std::vector<float> rows = RandomFloats(30, 1);
  const QkvRows qkv = {{rows.data(), 30}, {rows.data() + 10, 30}, {rows.data() + 20, 30}, 5};
  std::vector<float> out(10);
  const std::vector<int32_t> table = {0};
  StepArrays step;
  step.AddChunk({0, 1, 0, table});
  const StepInput input = step.view();
  const RotaryTable rotary = {};
  const AttentionWork work = {
      kShape, rotary, input, qkv, LayerOf(memory, KvType::kFloat32), {out.data(), 10}};
  for (int64_t head = 0; head < 2; ++head) StoreKeysAndValues(work, head);
  Scratch scratch;
  AttendTile(work, input.chunks[0], {.first = 0, .count = 1, .first_head = 0, .heads = 2}, scratch);
  EXPECT_EQ(out, std::vector<float>(rows.begin() + 20, rows.end()));
}

}  // namespace
}  // namespace dyad::kernels
