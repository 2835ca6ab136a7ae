// What lies where in a page. That attention comes out right is tests/kernels/attention_test.cc's.
#include "kernels/cpu/attention.h"

#include <gtest/gtest.h>

#include <bit>
#include <set>
#include <utility>
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

// `stored`: a number as T. Runs of rows in a page, shorter and longer than the squares of four rows
// that are stored together.
template <typename T, typename Stored>
void ExpectStoredSlots(KvType type, T guard, Stored stored, int64_t first_position, int64_t count) {
  std::vector<T> memory(
      static_cast<size_t>(3 * KvPageBytes(kShape, type) / static_cast<int64_t>(sizeof(T))), guard);
  std::vector<float> rows = RandomFloats(count * 30, 1);
  rows[15] = std::bit_cast<float>(0x3f808000u);  // k: a tie, which goes to the even neighbour
  rows[16] = std::bit_cast<float>(0x7f7fffffu);  // rounds to infinity
  rows[17] = std::bit_cast<float>(0x7f800001u);  // not a number, and stays one
  const QkvRows qkv = {{rows.data(), 30}, {rows.data() + 10, 30}, {rows.data() + 20, 30}, 5};
  const std::vector<int32_t> table = {2, 0};
  StepArrays step;
  step.AddChunk({0, static_cast<int32_t>(count), static_cast<int32_t>(first_position), table});
  const StepInput input = step.view();
  const RotaryTable rotary = {};
  const AttentionWork work = {kShape, rotary, input, qkv, LayerOf(memory, type), {}};
  Scratch scratch;
  StoreKeysAndValues(work, 1, scratch);

  // As bits: what is not a number equals nothing.
  const auto bits = [](T value) {
    if constexpr (sizeof(T) == 4) {
      return std::bit_cast<uint32_t>(value);
    } else {
      return value;
    }
  };
  const PageView<T> view = {kShape, work.kv};
  for (int64_t row = 0; row < count; ++row) {
    const int64_t position = first_position + row, slot = position % 16;
    const int64_t page = table[static_cast<size_t>(position / 16)];
    for (int64_t d = 0; d < 5; ++d) {
      EXPECT_EQ(bits(view.keys(page, 1)[d * 16 + slot]),
                bits(stored(rows[static_cast<size_t>(row * 30 + 15 + d)])));
      EXPECT_EQ(bits(view.values(page, 1)[slot * 16 + d]),
                bits(stored(rows[static_cast<size_t>(row * 30 + 25 + d)])));
    }
    for (int64_t d = 5; d < 16; ++d) EXPECT_EQ(view.values(page, 1)[slot * 16 + d], 0);
  }
  EXPECT_EQ(std::count(memory.begin(), memory.end(), guard),
            static_cast<int64_t>(memory.size()) - count * (5 + 16));
}

TEST(StoreKeysAndValuesTest, WritesTheSlotsOfItsChunkAndZeroPaddingOnly) {
  for (const auto& [first, count] : {std::pair{15, 3}, {12, 9}, {0, 32}, {9, 6}, {3, 1}}) {
    SCOPED_TRACE(first);
    ExpectStoredSlots(
        KvType::kFloat32, -7.0f, [](float value) { return value; }, first, count);
    ExpectStoredSlots(KvType::kBfloat16, uint16_t{0xffff}, &ToBfloat16, first, count);
  }
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
  Scratch scratch;
  for (int64_t head = 0; head < 2; ++head) StoreKeysAndValues(work, head, scratch);
  AttendTile(work, input.chunks[0], {.first = 0, .count = 1, .first_head = 0, .heads = 2}, scratch);
  EXPECT_EQ(out, std::vector<float>(rows.begin() + 20, rows.end()));
}

}  // namespace
}  // namespace dyad::kernels
