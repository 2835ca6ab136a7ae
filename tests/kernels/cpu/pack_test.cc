// Packed layouts, element by element.
#include <gtest/gtest.h>

#include "kernels/cpu/contraction.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

// 2 blocks of 33 outputs: a full panel and one of a single output.
TEST(PackWeightsTest, StreamsBlocksPanelsAndTermsInOrderWithZerosPastTheEnd) {
  const SampleLayer sample({Kind::kIt, 2, 3, 33}, WeightType::kFloat32);
  const LinearSpec spec = sample.Spec();
  const PackedContraction packed = PackWeights(spec.contractions[0], spec.type);
  EXPECT_EQ(packed.depth(), 6);
  EXPECT_EQ(packed.panels(), 2);
  const auto* weight = packed.weights.as<const float>();
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t p = 0; p < 2; ++p) {
      for (int64_t k = 0; k < 6; ++k) {
        for (int64_t lane = 0; lane < 32; ++lane) {
          const int64_t n = p * 32 + lane;
          const void* half = k < 3 ? sample.wl.data() : sample.wu.data();
          const double expected =
              n < 33 ? reference::WeightAt(half, spec.type, (b * 33 + n) * 3 + k % 3) : 0;
          EXPECT_EQ(*weight++, expected) << b << " " << n << " " << k;
        }
      }
    }
  }
}

TEST(PackWeightsTest, KeepsTheBitsOf16BitWeights) {
  const SampleLayer sample({Kind::kDense, 1, 2, 40}, WeightType::kFloat16);
  const LinearSpec spec = sample.Spec();
  const PackedContraction packed = PackWeights(spec.contractions[0], spec.type);
  EXPECT_EQ(packed.weights.bytes(), 64 * 2 * 2);
  const auto* weight = packed.weights.as<const uint16_t>();
  const auto* from = reinterpret_cast<const uint16_t*>(sample.wl.data());
  EXPECT_EQ(weight[0 * 32 + 31], from[31 * 2 + 0]);
  EXPECT_EQ(weight[1 * 32 + 5], from[5 * 2 + 1]);
  EXPECT_EQ(weight[2 * 32 + 7], from[39 * 2 + 0]);
  EXPECT_EQ(weight[2 * 32 + 8], 0);
}

TEST(PackBiasTest, FollowsTheDestinationIntoPanels) {
  const SampleLayer sample({Kind::kOt, 2, 3, 33}, WeightType::kFloat32);
  const LinearSpec spec = sample.Spec();
  const PackedContraction strided = PackWeights(spec.contractions[1], spec.type);
  const std::vector<float> packed = PackBias(strided, spec.bias);
  ASSERT_EQ(packed.size(), 2u * 64);
  EXPECT_EQ(packed[64 + 4], spec.bias[4 * 2 + 1]);
  EXPECT_EQ(packed[64 + 33], 0);
}

TEST(RowBlockTest, BlocksCoverTheRowsInOrderWithEvenSizes) {
  for (int64_t tokens = 1; tokens < 200; ++tokens) {
    int64_t next = 0;
    for (int64_t i = 0; i < RowBlockCount(tokens); ++i) {
      const RowBlock rows = RowBlockAt(tokens, i);
      EXPECT_EQ(rows.first, next);
      EXPECT_LE(rows.count, kBlockRows);
      EXPECT_GE(rows.count, tokens / RowBlockCount(tokens));
      next += rows.count;
    }
    EXPECT_EQ(next, tokens);
  }
}

}  // namespace
}  // namespace dyad::kernels
