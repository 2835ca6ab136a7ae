// Packed layouts, element by element.
#include <gtest/gtest.h>

#include "kernels/cpu/contraction.h"
#include "kernels/reference/integer.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

// 2 blocks of 33 outputs: a full panel and one of a single output.
TEST(PackWeightsTest, StreamsBlocksPanelsAndTermsInOrderWithZerosPastTheEnd) {
  const SampleLayer sample({Kind::kTwoTerms, 2, 3, 33}, Element::kFloat32);
  const Plan plan = sample.plan();
  const PackedContraction packed = PackWeights(std::get<Contract>(plan.steps[0]), plan);
  EXPECT_EQ(packed.depth(), 6);
  EXPECT_EQ(packed.panels(), 2);
  const auto* weight = packed.weights.as<const float>();
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t p = 0; p < 2; ++p) {
      for (int64_t k = 0; k < 6; ++k) {
        for (int64_t lane = 0; lane < 32; ++lane) {
          const int64_t n = p * 32 + lane;
          const void* half = k < 3 ? sample.near.data() : sample.far.data();
          const double expected =
              n < 33 ? reference::WeightAt(half, plan.type, (b * 33 + n) * 3 + k % 3) : 0;
          EXPECT_EQ(*weight++, expected) << b << " " << n << " " << k;
        }
      }
    }
  }
}

TEST(PackWeightsTest, KeepsTheBitsOf16BitWeights) {
  const SampleLayer sample({Kind::kDense, 1, 2, 40}, Element::kFloat16);
  const Plan plan = sample.plan();
  const PackedContraction packed = PackWeights(std::get<Contract>(plan.steps[0]), plan);
  EXPECT_EQ(packed.weights.bytes(), 64 * 2 * 2);
  const auto* weight = packed.weights.as<const uint16_t>();
  const auto* from = reinterpret_cast<const uint16_t*>(sample.near.data());
  EXPECT_EQ(weight[0 * 32 + 31], from[31 * 2 + 0]);
  EXPECT_EQ(weight[1 * 32 + 5], from[5 * 2 + 1]);
  EXPECT_EQ(weight[2 * 32 + 7], from[39 * 2 + 0]);
  EXPECT_EQ(weight[2 * 32 + 8], 0);
}

// 3 panels of a block: a pair with its outputs side by side, and a single one.
TEST(PackWeightsTest, PutsTwoPanelsOfInt8SideBySideWithAScaleForEachOutput) {
  const SampleLayer sample({Kind::kTwoTerms, 2, 3, 65}, Element::kInt8);
  const Plan plan = sample.plan();
  const PackedContraction packed = PackWeights(std::get<Contract>(plan.steps[0]), plan);
  ASSERT_EQ(packed.panels(), 3);
  EXPECT_EQ(packed.weights.bytes(), 2 * 96 * 6);
  ASSERT_EQ(packed.scales.size(), 2u * 96);
  const auto* weights = packed.weights.as<const int8_t>();
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t n = 0; n < 96; ++n) {
      std::vector<double> row;  // near, then far: one scale for both
      for (int64_t k = 0; n < 65 && k < 6; ++k) {
        const void* half = k < 3 ? sample.near.data() : sample.far.data();
        row.push_back(reference::WeightAt(half, Element::kFloat32, (b * 65 + n) * 3 + k % 3));
      }
      const std::vector<double> expected = reference::ThroughInt8(row);
      const double scale = packed.scales[static_cast<size_t>(b * 96 + n)];
      for (size_t k = 0; k < 6; ++k) {
        const int64_t pair = n < 64 ? n + static_cast<int64_t>(k) * 64
                                    : 64 * 6 + n - 64 + static_cast<int64_t>(k) * 32;
        EXPECT_EQ(weights[b * 96 * 6 + pair] * scale, n < 65 ? expected[k] : 0) << n << " " << k;
      }
    }
  }
}

// bfloat16 and float16 hold these exactly.
TEST(PackWeightsTest, QuantisesEveryTypeAlike) {
  const std::vector<float> wide = {1.5f, -0.25f, 0.75f, 0.5f, 3.0f, -2.0f};
  const std::vector<uint16_t> brain = {0x3fc0, 0xbe80, 0x3f40, 0x3f00, 0x4040, 0xc000};
  const std::vector<uint16_t> half = {0x3e00, 0xb400, 0x3a00, 0x3800, 0x4200, 0xc000};
  const auto pack = [](const void* weights, Element source) {
    Plan plan = DensePlan(3, 2, {weights, source});
    plan.type = Element::kInt8;
    return PackWeights(std::get<Contract>(plan.steps[0]), plan);
  };
  const PackedContraction expected = pack(wide.data(), Element::kFloat32);
  EXPECT_EQ(expected.scales[1], 3.0f / 127);
  EXPECT_EQ(expected.weights.as<int8_t>()[32], -21);  // -0.25 / (1.5 / 127)
  for (const auto& [weights, source] :
       {std::pair{brain.data(), Element::kBfloat16}, {half.data(), Element::kFloat16}}) {
    const PackedContraction packed = pack(weights, source);
    EXPECT_EQ(packed.scales, expected.scales);
    EXPECT_TRUE(std::equal(packed.weights.as<int8_t>(), packed.weights.as<int8_t>() + 3 * 32,
                           expected.weights.as<int8_t>()));
  }
}

// A fold, which is float32, is rounded while it is packed.
TEST(PackWeightsTest, RoundsWhatIsStoredWider) {
  const std::vector<float> wide = {1 + 0x1p-8f, 1 + 0x1.8p-7f};
  Plan plan = DensePlan(1, 2, {wide.data()});
  plan.type = Element::kBfloat16;
  const PackedContraction packed = PackWeights(std::get<Contract>(plan.steps[0]), plan);
  EXPECT_EQ(packed.weights.as<uint16_t>()[0], 0x3f80);
  EXPECT_EQ(packed.weights.as<uint16_t>()[1], 0x3f82);
}

// 2 blocks of 33 outputs: a step's own bias counts through its outputs.
TEST(PackWeightsTest, PutsTheBiasOfAStepInPanelOrder) {
  const SampleLayer sample({Kind::kTwoTerms, 2, 3, 33}, Element::kFloat32);
  Contract step = sample.step();
  const std::vector<float> bias = RandomFloats(66, 5);
  step.bias = bias;
  const PackedContraction packed = PackWeights(step, sample.plan());
  ASSERT_EQ(packed.bias.size(), 2u * 64);
  EXPECT_EQ(packed.bias[32], bias[32]);
  EXPECT_EQ(packed.bias[33], 0);
  EXPECT_EQ(packed.bias[64 + 5], bias[33 + 5]);
}

TEST(PackedContractionTest, BundlesArePairsOfInt8WithinABlockAndElsePanels) {
  PackedContraction contraction;
  contraction.blocks = 2;
  contraction.outputs = 65;  // 3 panels
  const auto bundles = [&] {
    std::vector<std::pair<int64_t, int64_t>> ranges;
    for (int64_t i = 0; i < contraction.bundles(); ++i) {
      const PanelRange range = contraction.BundleAt(i);
      ranges.emplace_back(range.first, range.last);
      for (int64_t panel = range.first; panel < range.last; ++panel) {
        EXPECT_EQ(contraction.BundleOf(panel).first, range.first);
      }
    }
    return ranges;
  };
  using Ranges = std::vector<std::pair<int64_t, int64_t>>;
  EXPECT_EQ(bundles(), (Ranges{{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}}));
  contraction.type = Element::kInt8;
  EXPECT_EQ(bundles(), (Ranges{{0, 2}, {2, 3}, {3, 5}, {5, 6}}));
}

TEST(PackBiasTest, FollowsTheDestinationIntoPanels) {
  const SampleLayer sample({Kind::kTwoSteps, 2, 3, 33}, Element::kFloat32);
  const Plan plan = sample.plan();
  const PackedContraction strided = PackWeights(std::get<Contract>(plan.steps[1]), plan);
  const std::vector<float> packed = PackBias(strided, plan.bias);
  ASSERT_EQ(packed.size(), 2u * 64);
  EXPECT_EQ(packed[64 + 4], plan.bias[4 * 2 + 1]);
  EXPECT_EQ(packed[64 + 33], 0);
}

TEST(RowTileTest, TilesCoverTheRowsInOrderWithEvenSizes) {
  for (int64_t tokens = 1; tokens < 200; ++tokens) {
    int64_t next = 0;
    for (int64_t i = 0; i < RowTileCount(tokens); ++i) {
      const RowTile rows = RowTileAt(tokens, i);
      EXPECT_EQ(rows.first, next);
      EXPECT_LE(rows.count, kRowTile);
      EXPECT_GE(rows.count, tokens / RowTileCount(tokens));
      next += rows.count;
    }
    EXPECT_EQ(next, tokens);
  }
}

}  // namespace
}  // namespace dyad::kernels
