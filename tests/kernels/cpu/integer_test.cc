// Layers in integer arithmetic against sums in 64 bits, bit for bit, on every instruction set.
#include "kernels/cpu/integer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/cpu/linear.h"
#include "kernels/reference/plan.h"
#include "tests/kernels/cpu/narrow_layers.h"
#include "tests/kernels/random_plan.h"
#include "tests/kernels/sample_layers.h"
#include "tests/support/sanitized.h"

namespace dyad::kernels {
namespace {

constexpr Arithmetic kArithmetics[] = {Arithmetic::kInteger24, Arithmetic::kInteger16,
                                       Arithmetic::kInteger8};

TEST(IntegerTest, RandomPlansAreTheDefinition) {
  const uint32_t plans = testing::kSanitized ? 100 : 2000;
  const int64_t counts[] = {0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 25};
  for (uint32_t seed = 1; seed <= plans; ++seed) {
    RandomPlan random(seed);
    Plan plan = random.plan();
    plan.type = Element::kInt8;
    const int64_t rows = counts[seed % std::size(counts)];
    const std::vector<float> x = random.Floats(rows * plan.in_features());
    ExpectTheDefinition(plan, kArithmetics[seed % 3], rows, x, 1 + static_cast<int>(seed % 3),
                        "seed " + std::to_string(seed));
    if (HasFatalFailure()) return;
  }
}

// Depths around a quad, a vector, the 512 after which sums of 32 bits move on; blocks that are
// taken apart in vectors, and others.
TEST(IntegerTest, AwkwardSizesAreTheDefinition) {
  for (const auto& [blocks, depth, outputs] : std::vector<std::array<int64_t, 3>>{{1, 1, 1},
                                                                                  {1, 3, 31},
                                                                                  {1, 4, 32},
                                                                                  {1, 129, 33},
                                                                                  {1, 511, 40},
                                                                                  {1, 516, 40},
                                                                                  {1, 517, 7},
                                                                                  {1, 1030, 9},
                                                                                  {2, 37, 40},
                                                                                  {3, 64, 20},
                                                                                  {4, 65, 33},
                                                                                  {4, 128, 64},
                                                                                  {8, 33, 10},
                                                                                  {8, 96, 48},
                                                                                  {16, 5, 3}}) {
    for (const Kind kind : {Kind::kDense, Kind::kTwoTerms, Kind::kTwoSteps, Kind::kTwoViews}) {
      if (blocks == 1 && kind != Kind::kDense) continue;
      const SampleLayer sample({kind, blocks, depth, outputs}, Element::kInt8);
      const Plan plan = sample.plan();
      for (const Arithmetic arithmetic : kArithmetics) {
        for (const int64_t rows : {1, 2, 3, 4, 7, 13}) {
          const std::vector<float> x = RandomFloats(rows * sample.in, 7);
          ExpectTheDefinition(plan, arithmetic, rows, x, 2, NameOf(sample.shape));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

// Everything at its largest, with the signs that add up.
TEST(IntegerTest, TheLargestSumsAreTheDefinition) {
  const std::vector<int64_t> depths = testing::kSanitized
                                          ? std::vector<int64_t>{512, 520}
                                          : std::vector<int64_t>{512, 516, 4096, 65536};
  for (const int64_t depth : depths) {
    for (const float sign : {1.0f, -1.0f}) {
      const std::vector<float> weights(static_cast<size_t>(depth * 3), 0.5f);
      const Plan plan = [&] {
        Plan dense = DensePlan(depth, 3, {weights.data(), Element::kFloat32});
        dense.type = Element::kInt8;
        return dense;
      }();
      // The largest q: one below the cut, at the cut (rounded up to 2^15 and 2^23), a power of two.
      for (const float value : {0x1.fffffcp0f, 0x1.fffffep0f, 1.0f}) {
        const std::vector<float> x(static_cast<size_t>(2 * depth), sign * value);
        for (const Arithmetic arithmetic : kArithmetics) {
          ExpectTheDefinition(plan, arithmetic, 2, x, 1, "depth " + std::to_string(depth));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(IntegerTest, ExtremeRowsAreTheirOwnAffair) {
  const SampleLayer sample({Kind::kTwoTerms, 4, 48, 40}, Element::kInt8);
  const Plan plan = sample.plan();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::function<void(float*)>> extremes = {
      [&](float* row) { row[17] = infinity; },
      [&](float* row) { row[0] = -infinity; },
      [&](float* row) { row[191] = std::numeric_limits<float>::quiet_NaN(); },
      [](float* row) { std::fill_n(row, 192, 0.0f); },
      [](float* row) { std::fill_n(row, 192, -0.0f); },
      [](float* row) { std::fill_n(row, 192, 0x1p-149f); },
      [](float* row) {
        for (int i = 0; i < 192; ++i) row[i] *= 0x1p-120f;
      },
      [](float* row) {
        for (int i = 0; i < 192; ++i) row[i] *= 3e38f;
      },
      [](float* row) {
        for (int i = 0; i < 192; ++i) row[i] = std::ldexp(i % 2 == 0 ? 1.0f : -2.5f, -15);
      },
  };
  for (const Arithmetic arithmetic : kArithmetics) {
    const std::vector<float> plain = RandomFloats(5 * sample.in, 3);
    const PackedLinear layer(plan, nullptr, arithmetic);
    const std::vector<float> before = Found(layer, 5, plain, 1);
    for (size_t i = 0; i < extremes.size(); ++i) {
      std::vector<float> x = plain;
      extremes[i](&x[static_cast<size_t>(2 * sample.in)]);
      ExpectTheDefinition(plan, arithmetic, 5, x, 1, "extreme " + std::to_string(i));
      if (HasFatalFailure()) return;
      const std::vector<float> y = Found(layer, 5, x, 1);
      for (size_t at = 0; at < y.size(); ++at) {
        const bool of_row = static_cast<int64_t>(at) / sample.out == 2;
        if (of_row && i < 3) {
          EXPECT_TRUE(std::isnan(y[at])) << i;
        }
        if (of_row && (i == 3 || i == 4)) {
          EXPECT_EQ(y[at], sample.bias[at % static_cast<size_t>(sample.out)]);
        }
        if (!of_row) {
          EXPECT_EQ(y[at], before[at]) << i;
        }
      }
    }
  }
}

// Exact sums have no order: features may change places.
TEST(IntegerTest, TheOrderOfFeaturesDoesNotShow) {
  constexpr int64_t kIn = 700, kOut = 33;
  const std::vector<float> weights = RandomFloats(kIn * kOut, 1), x = RandomFloats(kIn, 2);
  std::vector<float> turned_weights(weights.size()), turned_x(x.rbegin(), x.rend());
  for (int64_t n = 0; n < kOut; ++n) {
    std::reverse_copy(weights.begin() + n * kIn, weights.begin() + (n + 1) * kIn,
                      turned_weights.begin() + n * kIn);
  }
  for (const Arithmetic arithmetic : kArithmetics) {
    const auto outputs = [&](const std::vector<float>& w, const std::vector<float>& row) {
      Plan plan = DensePlan(kIn, kOut, {w.data(), Element::kFloat32});
      plan.type = Element::kInt8;
      return Found(PackedLinear(plan, nullptr, arithmetic), 1, row, 1);
    };
    EXPECT_EQ(outputs(weights, x), outputs(turned_weights, turned_x));
  }
}

TEST(IntegerTest, NeighboursThreadsAndLayersTogetherDoNotShow) {
  const SampleLayer first({Kind::kTwoTerms, 4, 192, 200}, Element::kInt8),
      second({Kind::kTwoTerms, 4, 192, 96}, Element::kInt8);
  constexpr int64_t kRows = testing::kSanitized ? 30 : 300;
  const std::vector<float> x = RandomFloats(kRows * first.in, 5);
  for (const Arithmetic arithmetic : kArithmetics) {
    const PackedLinear a(first.plan(), nullptr, arithmetic), b(second.plan(), nullptr, arithmetic);
    ExpectNoNeighbours(a, b, kRows, x);
  }
}

// 24 bits lose nothing against exact sums of the same weights.
TEST(IntegerTest, TwentyFourBitsAreAsAccurateAsChains) {
  const SampleLayer sample({Kind::kTwoTerms, 4, 192, 64}, Element::kInt8);
  const Plan plan = sample.plan();
  const std::vector<float> x = RandomFloats(8 * sample.in, 9);
  const auto wide = reference::Apply(plan, 8, {x.data(), sample.in}, {});
  const std::vector<float> y = Found(PackedLinear(plan, nullptr, Arithmetic::kInteger24), 8, x, 1);
  for (size_t i = 0; i < y.size(); ++i) {
    ASSERT_LE(std::abs(y[i] - wide.y[i]), 1e-6 * wide.magnitude[i]) << i;
  }
}

}  // namespace
}  // namespace dyad::kernels
