// Paged attention on every instruction set of this machine, against the definition in double.
//
// Head sizes: 1; around 16, the lanes of AVX-512; 64 and 80, those of OPT and Pythia; 112, whose
// value rows take two register tiles. Lengths: around 16, a page, and 64, the keys between two
// rescalings.
#include "kernels/cpu/paged_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "kernels/reference/attention.h"
#include "tests/kernels/cpu/attention_sequence.h"
#include "tests/support/sanitized.h"

namespace dyad::kernels {
namespace {

// Relative to Σ weight · |value|: each product rounds, each rescaling rounds twice more; a weight
// e^s is off by the error of s, one rounding per dimension and rotation of Σ |q k|, and 2 ulp of
// exp itself.
double AttentionBound(const AttentionShape& shape, const reference::AttentionResult& expected,
                      size_t at, int64_t position) {
  constexpr double kUnit = 0x1p-24;
  const auto head = static_cast<int64_t>(at) % (shape.heads * shape.head_size) / shape.head_size;
  const double score = expected.score[static_cast<size_t>(position * shape.heads + head)];
  const double of_score = static_cast<double>(shape.head_size + 8) * kUnit * (score + 1);
  const double of_sum = static_cast<double>(2 * position + 16) * kUnit;
  return (of_sum + 4 * of_score) * expected.magnitude[at] + 1e-37;
}

int64_t FirstWrongOutput(const Sequence& sequence, const std::vector<float>& out,
                         KvType type = KvType::kFloat32) {
  const auto expected =
      reference::Attention(sequence.shape, sequence.rotary(), sequence.tokens, sequence.qkv, type);
  for (size_t at = 0; at < out.size(); ++at) {
    const int64_t position = static_cast<int64_t>(at) / sequence.OutWidth();
    const double error = std::abs(out[at] - expected.out[at]);
    if (!(error <= AttentionBound(sequence.shape, expected, at, position))) {
      return static_cast<int64_t>(at);
    }
  }
  return -1;
}

constexpr KvType kTypes[] = {KvType::kFloat32, KvType::kBfloat16, KvType::kInt8};
// int8 is compared bit for bit: tests/kernels/cpu/attention_int8_test.cc.
constexpr KvType kFloatTypes[] = {KvType::kFloat32, KvType::kBfloat16};

class AttentionTest : public ::testing::TestWithParam<std::string_view> {
 protected:
  WithIsa isa_{GetParam()};
};

TEST_P(AttentionTest, StaysWithinTheBoundAtAwkwardSizes) {
  for (const AttentionShape& shape : kShapes) {
    for (const int64_t tokens : {1, 2, 15, 16, 17, 63, 64, 65, 131}) {
      if (testing::kSanitized && tokens > 17 && tokens != 65) continue;
      for (const Packing packing : {Packing::kApart, Packing::kInterleaved}) {
        const Sequence sequence(shape, tokens, packing);
        for (const KvType type : kFloatTypes) {
          EXPECT_EQ(FirstWrongOutput(sequence, InChunks(sequence, {tokens}, 1, type), type), -1)
              << shape.head_size << " rotary " << shape.rotary_size << " tokens " << tokens;
        }
      }
    }
  }
}

// Past the first position where attention rescales.
constexpr int64_t kLong = testing::kSanitized ? 70 : 131;

TEST_P(AttentionTest, ChunksAndThreadsDoNotShow) {
  for (const AttentionShape& shape : kShapes) {
    const Sequence sequence(shape, kLong, Packing::kInterleaved);
    for (const KvType type : kTypes) {
      const std::vector<float> whole = InChunks(sequence, {kLong}, 1, type);
      EXPECT_EQ(InChunks(sequence, std::vector<int64_t>(kLong, 1), 1, type), whole);
      EXPECT_EQ(InChunks(sequence, {1, 5, 58, 1, 2, kLong - 67}, 2, type), whole);
      EXPECT_EQ(InChunks(sequence, {63, kLong - 64, 1}, 3, type), whole);
    }
  }
}

// Chunks of any size, also such as no tile of queries has, on more threads than there are tasks.
TEST_P(AttentionTest, RandomChunksDoNotShow) {
  const Sequence sequence(Shape(2, 33, 10), 3 * kLong, Packing::kInterleaved);
  std::mt19937 generator(1);
  for (const KvType type : kTypes) {
    const std::vector<float> whole = InChunks(sequence, {sequence.tokens}, 1, type);
    for (int round = 0; round < 10; ++round) {
      std::vector<int64_t> sizes;
      for (int64_t left = sequence.tokens; left > 0; left -= sizes.back()) {
        const int64_t most = std::min<int64_t>(left, round % 2 == 0 ? 60 : 200);
        sizes.push_back(std::uniform_int_distribution<int64_t>(1, most)(generator));
      }
      EXPECT_EQ(InChunks(sequence, sizes, 1 + round % 4, type), whole);
    }
  }
}

// A key that is not a number makes results of all who see it none, whatever bits it has.
TEST_P(AttentionTest, WhatIsNotANumberStaysThat) {
  for (const uint32_t bits : {0x7fc00000u, 0x7f800001u, 0xff80007fu, 0xffffffffu}) {
    Sequence sequence(Shape(1, 16, 0), 70, Packing::kApart);
    float& key = sequence.values[static_cast<size_t>(66 * sequence.Width() + 16 + 3)];
    std::memcpy(&key, &bits, sizeof(bits));
    const std::vector<float> out = InChunks(sequence, {70});
    for (int64_t at = 0; at < static_cast<int64_t>(out.size()); ++at) {
      EXPECT_EQ(std::isnan(out[static_cast<size_t>(at)]), at / sequence.OutWidth() >= 66);
    }
  }
}

TEST_P(AttentionTest, HasTheBitsOfEveryOtherInstructionSet) {
  for (const AttentionShape& shape : kShapes) {
    const Sequence sequence(shape, kLong, Packing::kApart);
    for (const KvType type : kTypes) {
      const std::vector<float> here = InChunks(sequence, {60, kLong - 60}, 1, type);
      const WithIsa scalar("scalar");
      EXPECT_EQ(InChunks(sequence, {60, kLong - 60}, 1, type), here) << shape.head_size;
    }
  }
}

TEST_P(AttentionTest, NeighboursDoNotShow) {
  const AttentionShape shape = Shape(2, 17, 4);
  const Sequence left(shape, 37, Packing::kInterleaved, 1),
      right(shape, 37, Packing::kInterleaved, 2);
  Pages pages(shape, 6);
  std::vector<float> both = left.values;
  both.insert(both.end(), right.values.begin(), right.values.end());
  const std::vector<int32_t> table[] = {{4, 0, 2}, {1, 5, 3}};
  StepArrays step;
  step.AddChunk({0, 37, 0, table[0]});
  step.AddChunk({37, 37, 0, table[1]});
  const int64_t width = left.Width(), size = shape.head_size;
  const QkvRows rows = {{both.data(), width},
                        {both.data() + size, width},
                        {both.data() + 2 * size, width},
                        left.head_stride};
  std::vector<float> out(static_cast<size_t>(74 * left.OutWidth()));
  ThreadPool pool(2);
  Workspace workspace(pool);
  PagedAttention(shape, left.rotary(), step.view(), rows, pages.layer,
                 {out.data(), left.OutWidth()}, workspace);
  std::vector<float> expected = InChunks(left, {37});
  const std::vector<float> after = InChunks(right, {37});
  expected.insert(expected.end(), after.begin(), after.end());
  EXPECT_EQ(out, expected);
}

// Two sequences that begin with the same 21 rows, which only the first one brings: they are stored
// for the second one, too, in two pieces.
TEST_P(AttentionTest, RowsStoredForAnotherSequenceGiveItTheBitsOfItsOwn) {
  for (const AttentionShape& shape : kShapes) {
    constexpr int32_t kLeft = 37, kShared = 21, kRight = 70;
    const Sequence left(shape, kLeft, Packing::kInterleaved, 1);
    Sequence right(shape, kRight, Packing::kInterleaved, 2);
    const int64_t width = left.Width();
    std::copy_n(left.values.begin(), kShared * width, right.values.begin());
    std::vector<float> batch = left.values;
    batch.insert(batch.end(), right.values.begin() + kShared * width, right.values.end());
    const QkvRows rows = {{batch.data(), width},
                          {batch.data() + shape.head_size, width},
                          {batch.data() + 2 * shape.head_size, width},
                          left.head_stride};
    Pages pages(shape, 8);
    const std::vector<int32_t> table[] = {{4, 0, 2}, {1, 5, 3, 7, 6}};
    StepArrays step;
    step.AddChunk({0, kLeft, 0, table[0]});
    step.AddChunk({kLeft, kRight - kShared, kShared, table[1]});
    step.AddStore({5, kShared - 5, 5, table[1]});
    step.AddStore({0, 5, 0, table[1]});
    const int64_t out_width = left.OutWidth();
    std::vector<float> out(static_cast<size_t>((kLeft + kRight - kShared) * out_width));
    ThreadPool pool(2);
    Workspace workspace(pool);
    PagedAttention(shape, right.rotary(), step.view(), rows, pages.layer, {out.data(), out_width},
                   workspace);
    std::vector<float> expected = InChunks(left, {kLeft});
    const std::vector<float> alone = InChunks(right, {kRight});
    expected.insert(expected.end(), alone.begin() + kShared * out_width, alone.end());
    EXPECT_EQ(out, expected) << shape.head_size;
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, AttentionTest, ::testing::ValuesIn(SupportedIsas()),
                         [](const auto& isa) { return std::string(isa.param); });

// Scores far apart: the later maximum must take over, and the earlier one must not overflow it.
TEST(PagedAttentionTest, FollowsAMaximumThatMovesByHundreds) {
  const AttentionShape shape = {1, 1, 1.0f, 0};
  Sequence sequence(shape, 130, Packing::kApart);
  for (int64_t t = 0; t < 130; ++t) {
    float* row = &sequence.values[static_cast<size_t>(3 * t)];
    row[0] = 1;                                         // q
    row[1] = t == 70 ? 500.0f : static_cast<float>(t);  // k
    row[2] = static_cast<float>(t);                     // v
  }
  const std::vector<float> out = InChunks(sequence, {130});
  EXPECT_EQ(out[0], 0);
  EXPECT_EQ(out[70], 70);
  EXPECT_EQ(out[129], 70);
}

// Two keys with scores 0 and ln 3 weigh 1/4 and 3/4; the rotation by 90° swaps the pair.
TEST(PagedAttentionTest, TwoTokensByHand) {
  const AttentionShape shape = {1, 2, 1.0f, 2};
  const std::vector<float> cos = {1, 0}, sin = {0, 1};
  //                               q             k          v
  const std::vector<float> rows = {1, 0,      /**/ 0,
                                   0, /**/ 8, 4,  //
                                   1, 0,      /**/ std::log(3.0f),
                                   5, /**/ 4, 0};
  Pages pages(shape, 1);
  const std::vector<int32_t> table = {0};
  StepArrays step;
  step.AddChunk({0, 2, 0, table});
  std::vector<float> out(4);
  ThreadPool pool(1);
  Workspace workspace(pool);
  PagedAttention(shape, {cos, sin}, step.view(),
                 {{rows.data(), 6}, {rows.data() + 2, 6}, {rows.data() + 4, 6}, 2}, pages.layer,
                 {out.data(), 2}, workspace);
  EXPECT_EQ(out[0], 8);
  EXPECT_EQ(out[1], 4);
  EXPECT_NEAR(out[2], 8 * 0.25 + 4 * 0.75, 1e-5);
  EXPECT_NEAR(out[3], 4 * 0.25, 1e-5);
}

TEST(PagedAttentionTest, APageHoldsAWholeNumberOfCacheLines) {
  for (const AttentionShape& shape : kShapes) {
    for (const KvType type : kTypes) EXPECT_EQ(KvPageBytes(shape, type) % 64, 0);
  }
  EXPECT_EQ(KvPageBytes(Shape(12, 64, 0), KvType::kFloat32), 2 * 12 * 16 * 64 * 4);
  EXPECT_EQ(KvPageBytes(Shape(12, 64, 0), KvType::kBfloat16), 2 * 12 * 16 * 64 * 2);
  EXPECT_EQ(KvPageBytes(Shape(1, 1, 0), KvType::kBfloat16), 576);  // 544 rounded up
  EXPECT_EQ(KvPageBytes(Shape(12, 64, 0), KvType::kInt8), 2 * 12 * 16 * (64 + 4));
}

// 1 + 2^-8 lies between two numbers of bfloat16, and the even one is 1.
TEST(PagedAttentionTest, Bfloat16RoundsValuesWhereTheyAreStored) {
  const AttentionShape shape = {1, 1, 1.0f, 0};
  Sequence sequence(shape, 1, Packing::kApart);
  sequence.values = {1.0f, 1.0f, 1.00390625f};
  EXPECT_EQ(InChunks(sequence, {1}, 1, KvType::kBfloat16), std::vector<float>{1.0f});
  sequence.values = {1.0f, 1.0f, 1.01171875f};
  EXPECT_EQ(InChunks(sequence, {1}, 1, KvType::kBfloat16), std::vector<float>{1.015625f});
}

// The comparison that the tests above rest on must be able to fail.
TEST(AttentionBoundTest, NoticesOneWrongValue) {
  Sequence sequence(Shape(2, 16, 0), 40, Packing::kApart);
  std::vector<float> out = InChunks(sequence, {40});
  ASSERT_EQ(FirstWrongOutput(sequence, out), -1);
  sequence.values[static_cast<size_t>(39 * sequence.Width() + 64)] += 1e-2f;  // v of the last token
  EXPECT_EQ(FirstWrongOutput(sequence, out), 39 * sequence.OutWidth());
  out[5] = NAN;
  EXPECT_EQ(FirstWrongOutput(sequence, out), 5);
}

// Nor may keys or values that were not rounded pass for rounded ones.
TEST(AttentionBoundTest, TellsFloat32FromBfloat16) {
  const Sequence sequence(Shape(2, 16, 4), 40, Packing::kApart);
  EXPECT_NE(FirstWrongOutput(sequence, InChunks(sequence, {40}), KvType::kBfloat16), -1);
  EXPECT_NE(FirstWrongOutput(sequence, InChunks(sequence, {40}, 1, KvType::kBfloat16)), -1);
}

}  // namespace
}  // namespace dyad::kernels
