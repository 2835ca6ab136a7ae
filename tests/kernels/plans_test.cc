// Plans: which features each contraction reads and writes. That the sums come out is
// linear_test.cc's.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/linear.h"

namespace dyad::kernels {
namespace {

constexpr int64_t kIn = 6, kOut = 12, kBlocks = 3;
const std::vector<float> kNear(kIn*kOut / kBlocks), kFar(kIn*kOut / kBlocks);

LinearSpec Plan(DyadVariant variant) {
  return DyadSpec(kIn, kOut, WeightType::kFloat32, variant, {kBlocks, kNear.data(), kFar.data()},
                  {});
}

std::vector<int64_t> Features(const FeatureView& view, int64_t block, int64_t count) {
  std::vector<int64_t> features;
  for (int64_t j = 0; j < count; ++j) {
    features.push_back(view.offset + block * view.block_stride + j * view.stride);
  }
  return features;
}

using Numbers = std::vector<int64_t>;

TEST(PlansTest, DenseIsOneBlockOverEverything) {
  const std::vector<float> bias(kOut);
  const LinearSpec spec = DenseSpec(kIn, kOut, WeightType::kFloat32, kNear.data(), bias);
  ASSERT_EQ(spec.contractions.size(), 1u);
  const Contraction& whole = spec.contractions[0];
  EXPECT_EQ(whole.blocks, 1);
  EXPECT_EQ(whole.outputs, kOut);
  EXPECT_EQ(whole.depth, kIn);
  ASSERT_EQ(whole.terms.size(), 1u);
  EXPECT_EQ(whole.terms[0].weight.output_stride, kIn);
  EXPECT_EQ(spec.bias.size(), bias.size());
}

TEST(PlansTest, ItSumsAPlainAndAStridedViewInOnePass) {
  const LinearSpec spec = Plan(DyadVariant::kIt);
  ASSERT_EQ(spec.contractions.size(), 1u);
  const Contraction& sum = spec.contractions[0];
  ASSERT_EQ(sum.terms.size(), 2u);
  EXPECT_EQ(sum.terms[0].weight.data, kNear.data());
  EXPECT_EQ(sum.terms[1].weight.data, kFar.data());
  EXPECT_EQ(Features(sum.terms[0].source, 1, 2), (Numbers{2, 3}));
  EXPECT_EQ(Features(sum.terms[1].source, 1, 2), (Numbers{1, 4}));
  EXPECT_EQ(Features(sum.destination, 2, 4), (Numbers{8, 9, 10, 11}));
}

TEST(PlansTest, OtReadsPlainAndAddsToStridedOutputs) {
  const LinearSpec spec = Plan(DyadVariant::kOt);
  ASSERT_EQ(spec.contractions.size(), 2u);
  EXPECT_EQ(spec.contractions[0].combine, Combine::kAssign);
  EXPECT_EQ(spec.contractions[1].combine, Combine::kAccumulate);
  EXPECT_EQ(Features(spec.contractions[1].terms[0].source, 1, 2), (Numbers{2, 3}));
  EXPECT_EQ(Features(spec.contractions[1].destination, 1, 4), (Numbers{1, 4, 7, 10}));
}

TEST(PlansTest, DtReadsStridedAndAddsToStridedOutputs) {
  const LinearSpec spec = Plan(DyadVariant::kDt);
  ASSERT_EQ(spec.contractions.size(), 2u);
  EXPECT_EQ(Features(spec.contractions[0].terms[0].source, 1, 2), (Numbers{2, 3}));
  EXPECT_EQ(Features(spec.contractions[1].terms[0].source, 1, 2), (Numbers{1, 4}));
  EXPECT_EQ(Features(spec.contractions[1].destination, 1, 4), (Numbers{1, 4, 7, 10}));
}

TEST(PlansTest, KnowsTheBytesOfAWeight) {
  EXPECT_EQ(WeightBytes(WeightType::kFloat32), 4);
  EXPECT_EQ(WeightBytes(WeightType::kBfloat16), 2);
  EXPECT_EQ(WeightBytes(WeightType::kFloat16), 2);
  EXPECT_EQ(WeightBytes(WeightType::kInt8), 1);
}

TEST(PlansTest, OnlyInt8ComesFromAnotherType) {
  LinearSpec spec;
  spec.quantized_from = WeightType::kBfloat16;
  for (const WeightType type :
       {WeightType::kFloat32, WeightType::kBfloat16, WeightType::kFloat16}) {
    spec.type = type;
    EXPECT_EQ(spec.source_type(), type);
  }
  spec.type = WeightType::kInt8;
  EXPECT_EQ(spec.source_type(), WeightType::kBfloat16);
}

}  // namespace
}  // namespace dyad::kernels
