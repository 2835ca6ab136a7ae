// Layers in bfloat16 arithmetic against plain loops, bit for bit, on every instruction set.
#include "kernels/cpu/bfloat16.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/bfloat16.h"
#include "kernels/cpu/linear.h"
#include "kernels/reference/plan.h"
#include "tests/kernels/cpu/narrow_layers.h"
#include "tests/kernels/random_plan.h"
#include "tests/kernels/sample_layers.h"
#include "tests/support/sanitized.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace dyad::kernels {
namespace {

PackedLinear Packed(const Plan& plan) {
  return PackedLinear(plan, &PoolOf(2), Arithmetic::kBfloat16);
}

std::vector<float> Expected(const Plan& plan, int64_t rows, const std::vector<float>& x) {
  return reference::ChainIn(Arithmetic::kBfloat16, plan, rows, {x.data(), plan.in_features()});
}

void ExpectTheDefinition(const Plan& plan, int64_t rows, const std::vector<float>& x, int threads,
                         const std::string& name) {
  ExpectTheDefinition(plan, Arithmetic::kBfloat16, rows, x, threads, name);
}

TEST(Bfloat16Test, RandomPlansAreTheDefinition) {
  const uint32_t plans = testing::kSanitized ? 100 : 2000;
  const int64_t counts[] = {0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 25};
  for (uint32_t seed = 1; seed <= plans; ++seed) {
    RandomPlan random(seed);
    Plan plan = random.plan();
    plan.type = Element::kBfloat16;
    const int64_t rows = counts[seed % std::size(counts)];
    const std::vector<float> x = random.Floats(rows * plan.in_features());
    ExpectTheDefinition(plan, rows, x, 1 + static_cast<int>(seed % 3),
                        "seed " + std::to_string(seed));
    if (HasFatalFailure()) return;
  }
}

// Odd depths, depths around a vector, ragged panels; blocks that are taken apart in vectors, and
// others.
TEST(Bfloat16Test, AwkwardSizesAreTheDefinition) {
  for (const auto& [blocks, depth, outputs] : std::vector<std::array<int64_t, 3>>{{1, 1, 1},
                                                                                  {1, 2, 31},
                                                                                  {1, 3, 32},
                                                                                  {1, 129, 33},
                                                                                  {1, 512, 40},
                                                                                  {1, 1031, 9},
                                                                                  {2, 37, 40},
                                                                                  {3, 64, 20},
                                                                                  {4, 65, 33},
                                                                                  {4, 128, 64},
                                                                                  {8, 33, 10},
                                                                                  {8, 96, 48},
                                                                                  {16, 5, 3}}) {
    for (const Kind kind : {Kind::kDense, Kind::kTwoTerms, Kind::kTwoSteps, Kind::kTwoViews}) {
      if (blocks == 1 && kind != Kind::kDense) continue;
      const SampleLayer sample({kind, blocks, depth, outputs}, Element::kBfloat16);
      const Plan plan = sample.plan();
      for (int64_t rows = 1; rows <= 17; ++rows) {
        const std::vector<float> x = RandomFloats(rows * sample.in, 7);
        ExpectTheDefinition(plan, rows, x, 2, NameOf(sample.shape));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(Bfloat16Test, ManyRowsAreTheDefinition) {
  const SampleLayer sample({Kind::kTwoTerms, 4, 33, 70}, Element::kBfloat16);
  const Plan plan = sample.plan();
  for (const int64_t rows : {64, 127, 300}) {
    if (testing::kSanitized && rows > 64) return;
    ExpectTheDefinition(plan, rows, RandomFloats(rows * sample.in, 7), 3, "many");
    if (HasFatalFailure()) return;
  }
}

TEST(Bfloat16Test, ExtremeRowsAreTheirOwnAffair) {
  const SampleLayer sample({Kind::kTwoTerms, 4, 47, 40}, Element::kBfloat16);
  Plan plan = sample.plan();
  plan.bias.clear();  // beside it the smallest sums would not show
  const float infinity = std::numeric_limits<float>::infinity();
  const int64_t in = sample.in;
  const auto scaled = [&](float by) {
    return [=](float* row) {
      for (int64_t i = 0; i < in; ++i) row[i] *= by;
    };
  };
  const std::vector<std::function<void(float*)>> extremes = {
      [&](float* row) { row[17] = infinity; },
      [&](float* row) { row[0] = -infinity; },
      [&](float* row) { row[in - 1] = std::numeric_limits<float>::quiet_NaN(); },
      [&](float* row) { row[3] = std::bit_cast<float>(0x7f800001u); },  // bits lost in bfloat16
      [&](float* row) { std::fill_n(row, in, -0.0f); },
      [&](float* row) { std::fill_n(row, in, 0x1p-149f); },
      [&](float* row) { std::fill_n(row, in, -0x1.fffffcp-127f); },  // would round up to 2^-126
      [&](float* row) { std::fill_n(row, in, std::numeric_limits<float>::max()); },
      scaled(0x1p-120f),  // products that are denormal
      scaled(0x1p-126f),  // numbers that are
      scaled(0x1p-140f),
      scaled(3e38f),
  };
  const std::vector<float> plain = RandomFloats(5 * in, 3);
  const PackedLinear layer = Packed(plan);
  const std::vector<float> before = Found(layer, 5, plain, 1);
  for (size_t i = 0; i < extremes.size(); ++i) {
    std::vector<float> x = plain;
    extremes[i](&x[static_cast<size_t>(2 * in)]);
    ExpectTheDefinition(plan, 5, x, 1, "extreme " + std::to_string(i));
    if (HasFatalFailure()) return;
    const std::vector<float> y = Found(layer, 5, x, 1);
    for (size_t at = 0; at < y.size(); ++at) {
      if (static_cast<int64_t>(at) / sample.out == 2) continue;
      EXPECT_EQ(y[at], before[at]) << i;
    }
  }
}

// Numbers of any exponent near the least, so that sums pass 2^-126 again and again.
TEST(Bfloat16Test, SumsAroundTheLeastNumberAreTheDefinition) {
  constexpr int64_t kIn = 97, kOut = 40, kRows = 13;
  uint32_t state = 1;
  const auto draw = [&](int least, int most) {
    state = state * 1664525u + 1013904223u;
    const int exponent =
        least + static_cast<int>((state >> 8) % static_cast<uint32_t>(most - least));
    const float fraction = 1 + static_cast<float>(state >> 25) / 128;
    return std::ldexp((state >> 16) % 2 == 0 ? fraction : -fraction, exponent);
  };
  for (const int x_least : {-130, -100, -70, -63, -20}) {
    std::vector<float> weights, x, bias;
    for (int64_t i = 0; i < kIn * kOut; ++i)
      weights.push_back(draw(-126 - x_least - 30, -126 - x_least + 4));
    for (int64_t i = 0; i < kIn * kRows; ++i) x.push_back(draw(x_least - 2, x_least + 3));
    Plan plan = DensePlan(kIn, kOut, {weights.data(), Element::kFloat32});
    plan.type = Element::kBfloat16;
    ExpectTheDefinition(plan, kRows, x, 1, "exponents from " + std::to_string(x_least));
    if (HasFatalFailure()) return;
  }
}

TEST(Bfloat16Test, NeighboursThreadsAndLayersTogetherDoNotShow) {
  const SampleLayer first({Kind::kTwoTerms, 4, 193, 200}, Element::kBfloat16),
      second({Kind::kTwoTerms, 4, 193, 96}, Element::kBfloat16);
  constexpr int64_t kRows = testing::kSanitized ? 30 : 300;
  const std::vector<float> x = RandomFloats(kRows * first.in, 5);
  const PackedLinear a = Packed(first.plan()), b = Packed(second.plan());
  for (const std::string_view isa : SupportedIsas()) {
    const WithIsa with(isa);
    if (isa == "scalar") continue;  // it has been compared, and is slow
    ExpectNoNeighbours(a, b, kRows, x);
  }
}

// What the comparisons above would not see is not tested: each fault shows in a plain sum.
TEST(Bfloat16Test, EachFaultWouldShow) {
  const SampleLayer sample({Kind::kTwoTerms, 4, 47, 40}, Element::kBfloat16);
  const Plan plan = sample.plan();
  const std::vector<float> x = RandomFloats(3 * sample.in, 3);
  const std::vector<float> right = Expected(plan, 3, x);
  EXPECT_NE(FirstDifferent(reference::Chain(plan, 3, {x.data(), sample.in}), right), -1)
      << "exact arithmetic";
  // The even one first, no flush, no partner for the odd last one: as chains of one's own.
  const auto chain = [](const std::vector<float>& w, const std::vector<float>& of_x, float sum,
                        bool odd_first, bool flush, bool partner) {
    const auto add = [&](float a, float b) {
      sum = flush ? AddBfloat16Product(a, b, sum) : std::fma(a, b, sum);
    };
    for (size_t k = 0; k < w.size(); k += 2) {
      const bool pair = k + 1 < w.size();
      const auto odd = [&] {
        if (pair) add(of_x[k + 1], w[k + 1]);
        if (!pair && partner) add(0, 0);
      };
      if (odd_first) odd();
      add(of_x[k], w[k]);
      if (!odd_first) odd();
    }
    return sum;
  };
  const auto differs = [&](const std::vector<float>& w, const std::vector<float>& of_x, float start,
                           bool odd_first, bool flush, bool partner) {
    const float wrong = chain(w, of_x, start, odd_first, flush, partner);
    const float good = chain(w, of_x, start, true, true, true);
    return std::bit_cast<uint32_t>(wrong) != std::bit_cast<uint32_t>(good);
  };
  EXPECT_TRUE(differs({1, 1}, {0x1p30f, 0x1.8p5f}, 0x1p5f, false, true, true));
  EXPECT_TRUE(differs({0x1p-63f}, {0x1p-64f}, 0, true, false, true));
  EXPECT_TRUE(differs({-1}, {0}, -0.0f, true, true, false));
}

#if defined(__x86_64__)
// The loops that have the processor take denormals for zeros put it back, on every thread.
TEST(Bfloat16Test, TheProcessorIsAsBeforeOnEveryThread) {
  const SampleLayer sample({Kind::kTwoTerms, 4, 192, 200}, Element::kBfloat16);
  const PackedLinear layer = Packed(sample.plan());
  const std::vector<float> x = RandomFloats(50 * sample.in, 5);
  constexpr unsigned kSticky = 0x3f, kRoundDown = 0x2000;
  const unsigned before = _mm_getcsr();
  ASSERT_EQ(before & 0x8040u, 0u) << "a test before this one has left it so";
  for (const std::string_view isa : SupportedIsas()) {
    const WithIsa with(isa);
    for (const int threads : {1, 3}) {
      Found(layer, 50, x, threads);
      std::vector<unsigned> modes(64);
      PoolOf(threads).Run(64, [&](int64_t task) {
        // A denormal that lives on says the same as the register.
        volatile float denormal = 0x1p-130f;
        modes[static_cast<size_t>(task)] = denormal * 0.5f == 0x1p-131f ? _mm_getcsr() : ~0u;
      });
      for (const unsigned mode : modes) EXPECT_EQ(mode & ~kSticky, before & ~kSticky) << isa;
    }
  }
  _mm_setcsr(before | kRoundDown);
  Found(layer, 1, x, 1);
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  EXPECT_EQ(after & ~kSticky, (before | kRoundDown) & ~kSticky) << "whatever it was";
}
#endif

}  // namespace
}  // namespace dyad::kernels
