// Attention over keys and values of int8 on every instruction set of this machine: bit for bit the
// definition's. That chunks, threads and neighbours do not show is paged_attention_test.cc's.
#include "kernels/cpu/attention_int8.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/reference/attention.h"
#include "kernels/reference/int8_attention.h"
#include "tests/kernels/cpu/attention_sequence.h"
#include "tests/support/sanitized.h"

namespace dyad::kernels {
namespace {

std::vector<float> Defined(const Sequence& sequence) {
  const AttentionShape& shape = sequence.shape;
  std::vector<float> out(static_cast<size_t>(sequence.tokens * sequence.OutWidth()));
  for (int64_t head = 0; head < shape.heads; ++head) {
    const auto row_of = [&](const ConstRows& rows, int64_t t) {
      return std::span(rows.data + t * rows.stride + head * sequence.head_stride,
                       static_cast<size_t>(shape.head_size));
    };
    std::vector<std::vector<float>> keys, values;
    for (int64_t t = 0; t < sequence.tokens; ++t) {
      keys.push_back(
          reference::RotatedFloats(shape, sequence.rotary(), t, row_of(sequence.qkv.k, t)));
      const auto v = row_of(sequence.qkv.v, t);
      values.emplace_back(v.begin(), v.end());
      const std::vector<float> one = reference::AttendInt8(
          shape, reference::RotatedFloats(shape, sequence.rotary(), t, row_of(sequence.qkv.q, t)),
          keys, values);
      std::copy(one.begin(), one.end(),
                out.begin() + t * sequence.OutWidth() + head * shape.head_size);
    }
  }
  return out;
}

// Of the first one whose bits differ; what is not a number equals every other such. −1: none.
int64_t FirstDifference(const std::vector<float>& a, const std::vector<float>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i])) {
      return static_cast<int64_t>(i);
    }
  }
  return -1;
}

// As one chunk, whose queries go in tiles, and one by one as a decode does.
void ExpectTheDefinition(const Sequence& sequence, const std::string& what) {
  const std::vector<float> expected = Defined(sequence);
  const std::vector<int64_t> one_by_one(static_cast<size_t>(sequence.tokens), 1);
  EXPECT_EQ(FirstDifference(InChunks(sequence, {sequence.tokens}, 1, KvType::kInt8), expected), -1)
      << what;
  EXPECT_EQ(FirstDifference(InChunks(sequence, one_by_one, 1, KvType::kInt8), expected), -1)
      << what;
}

class Int8AttentionTest : public ::testing::TestWithParam<std::string_view> {
 protected:
  WithIsa isa_{GetParam()};
};

TEST_P(Int8AttentionTest, AwkwardSizesAreTheDefinition) {
  for (const AttentionShape& shape : kShapes) {
    for (const int64_t tokens : {1, 2, 3, 15, 16, 17, 63, 64, 65, 131}) {
      if (testing::kSanitized && tokens > 17 && tokens != 65) continue;
      for (const Packing packing : {Packing::kApart, Packing::kInterleaved}) {
        ExpectTheDefinition(
            Sequence(shape, tokens, packing),
            "head size " + std::to_string(shape.head_size) + ", tokens " + std::to_string(tokens));
      }
    }
  }
}

// Numbers of a query, key or value at position 20 of 70, and what they do to the rows behind it.
struct Extreme {
  std::function<void(float*)> change;  // of a row of 20 numbers
  bool no_number = false;
};
std::vector<Extreme> Extremes() {
  const float infinity = std::numeric_limits<float>::infinity();
  return {{[=](float* row) { row[17] = infinity; }, true},
          {[=](float* row) { row[0] = -infinity; }, true},
          {[](float* row) { row[19] = std::bit_cast<float>(0xff80007fu); }, true},
          {[](float* row) { std::fill_n(row, 20, 0.0f); }},
          {[](float* row) { std::fill_n(row, 20, -0.0f); }},
          {[](float* row) { std::fill_n(row, 20, 0x1p-149f); }},
          {[](float* row) { std::fill_n(row, 20, 0x1.fffffep0f); }},  // meets the cut of 16 bits
          {[](float* row) {
            for (int i = 0; i < 20; ++i) row[i] = std::ldexp(i % 2 == 0 ? 1.0f : -2.5f, -15);
          }},
          {[](float* row) {
            for (int i = 0; i < 20; ++i) row[i] *= 0x1p-120f;
          }},
          {[](float* row) {
            for (int i = 0; i < 20; ++i) row[i] *= 0x1p60f;
          }},
          {[](float* row) {
            for (int i = 0; i < 20; ++i) row[i] = 1.0f + static_cast<float>(i % 2) / 254;  // ties
          }}};
}

TEST_P(Int8AttentionTest, ExtremesAreTheDefinitionAndTheAffairOfThoseWhoSeeThem) {
  constexpr int64_t kTokens = 70, kAt = 20, kSize = 20;
  const AttentionShape shape = Shape(1, kSize, 0);
  const std::vector<Extreme> extremes = Extremes();
  for (size_t i = 0; i < extremes.size(); ++i) {
    for (int64_t part = 0; part < 3; ++part) {  // query, key, value
      Sequence sequence(shape, kTokens, Packing::kApart);
      extremes[i].change(
          &sequence.values[static_cast<size_t>(kAt * sequence.Width() + part * kSize)]);
      const std::string what = "extreme " + std::to_string(i) + ", part " + std::to_string(part);
      ExpectTheDefinition(sequence, what);
      if (!extremes[i].no_number) continue;
      const std::vector<float> out = InChunks(sequence, {kTokens}, 1, KvType::kInt8);
      for (int64_t at = 0; at < kTokens * kSize; ++at) {
        const int64_t row = at / kSize;
        EXPECT_EQ(std::isnan(out[static_cast<size_t>(at)]), part == 0 ? row == kAt : row >= kAt)
            << what;
      }
    }
  }
}

// Everything at its largest, with the signs that add up, in the largest heads.
TEST_P(Int8AttentionTest, TheLargestSumsAreTheDefinition) {
  const AttentionShape shape = {
      .heads = 1, .head_size = kMostInt8HeadSize, .scale = 0x1p-20f, .rotary_size = 0};
  for (const float sign : {1.0f, -1.0f}) {
    Sequence sequence(shape, 65, Packing::kApart);
    for (size_t i = 0; i < sequence.values.size(); ++i) {
      const bool of_query = i % static_cast<size_t>(sequence.Width()) < 512;
      sequence.values[i] = of_query ? sign * 2.0f : 3.0f;
    }
    ExpectTheDefinition(sequence, "largest sums");
  }
}

// 16 bits cut a query, and the weights of 64 keys beside their largest; 8 bits keys and values
// beside their largest of a head.
TEST_P(Int8AttentionTest, IsWithinItsErrorOfFloat32) {
  const AttentionShape shape = Shape(2, 64, 16);
  const Sequence sequence(shape, 131, Packing::kInterleaved);
  const auto exact = reference::Attention(shape, sequence.rotary(), sequence.tokens, sequence.qkv);
  const std::vector<float> out = InChunks(sequence, {131}, 1, KvType::kInt8);
  double mean = 0;
  for (size_t at = 0; at < out.size(); ++at) {
    // All numbers are within ±1, those that rotate within ±√2: |q|, |k|, |v| <= 1.42.
    const double of_number = 1.42 / 254 + 1.42 / 32768;
    const double of_score = shape.scale * 64 * 1.42 * (of_number + 1.42 / 32768);
    const double bound =
        (std::exp(2 * of_score) - 1) * exact.magnitude[at] + of_number + 64 * 1.42 / 32768;
    const double error = std::abs(out[at] - exact.out[at]);
    ASSERT_LE(error, bound) << at;
    mean += error / static_cast<double>(out.size());
  }
  EXPECT_LT(mean, 1e-3);
  EXPECT_GT(mean, 1e-5);  // it is not float32
}

INSTANTIATE_TEST_SUITE_P(Isas, Int8AttentionTest, ::testing::ValuesIn(SupportedIsas()),
                         [](const auto& isa) { return std::string(isa.param); });

}  // namespace
}  // namespace dyad::kernels
