// exact_math.h against the vector form on every instruction set, bit for bit; the functions in
// double against long double; and that Exp never falls, on which draws rest.
//
// Inputs: every 1,009th float (a prime, so that all low bits occur), of both signs, infinities and
// NaN among them; all floats around the branches.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/kernels/exact_math_test.cc"
#include "kernels/cpu/targets.h"
// Targets first, then the file that compiles this one for each of them.
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "kernels/cpu/math-inl.h"

#ifndef DYAD_TESTS_KERNELS_EXACT_MATH_ONCE
#define DYAD_TESTS_KERNELS_EXACT_MATH_ONCE
namespace dyad::kernels {
enum class Function { kExp, kGelu, kGeluTanh, kRelu };
inline constexpr int64_t kAtOnce = 16;  // a multiple of every target's lanes
}  // namespace dyad::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

// y[i] = function(x[i]) for kAtOnce numbers.
void ApplyOnTarget(Function function, const float* x, float* y) {
  for (int64_t i = 0; i < kAtOnce; i += kLanes) {
    const Vec v = Load(x + i);
    switch (function) {
      case Function::kExp:
        Store(Exp(v), y + i);
        break;
      case Function::kGelu:
        Store(Gelu(v), y + i);
        break;
      case Function::kGeluTanh:
        Store(GeluTanh(v), y + i);
        break;
      case Function::kRelu:
        Store(Relu(v), y + i);
        break;
    }
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/exact_math.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

HWY_EXPORT(ApplyOnTarget);

float Plain(Function function, float x) {
  switch (function) {
    case Function::kExp:
      return exact::Exp(x);
    case Function::kGelu:
      return exact::Gelu(x);
    case Function::kGeluTanh:
      return exact::GeluTanh(x);
    case Function::kRelu:
      return exact::Relu(x);
  }
  return 0;
}

std::vector<float> Inputs() {
  std::vector<float> inputs;
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 1009) {
    inputs.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  }
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const float edge : {0.0f, 1.0f, 3.0f, 14.0f, 87.0f, 88.72284f, 89.0f, 0x1p-126f, 0x1p-149f,
                           std::numeric_limits<float>::max(), kInfinity, kNan}) {
    for (const float signed_edge : {edge, -edge}) {
      inputs.push_back(signed_edge);
      inputs.push_back(std::nextafter(signed_edge, kInfinity));
      inputs.push_back(std::nextafter(signed_edge, -kInfinity));
    }
  }
  while (inputs.size() % kAtOnce != 0) inputs.push_back(0.5f);
  return inputs;
}

// Payloads of NaN are not part of the contract.
bool SameBits(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (a != a && b != b);
}

TEST(ExactMathTest, HasTheBitsOfTheVectorFormOnEveryInstructionSet) {
  const std::vector<float> inputs = Inputs();
  std::vector<float> plain(inputs.size());
  for (const Function function :
       {Function::kExp, Function::kGelu, Function::kGeluTanh, Function::kRelu}) {
    for (size_t i = 0; i < inputs.size(); ++i) plain[i] = Plain(function, inputs[i]);
    for (const std::string_view isa : SupportedIsas()) {
      const WithIsa with(isa);
      int64_t wrong = 0;
      for (size_t i = 0; i < inputs.size(); i += kAtOnce) {
        std::array<float, kAtOnce> vectors;
        HWY_DYNAMIC_DISPATCH(ApplyOnTarget)(function, &inputs[i], vectors.data());
        for (size_t lane = 0; lane < kAtOnce; ++lane) {
          if (SameBits(vectors[lane], plain[i + lane])) continue;
          EXPECT_EQ(vectors[lane], plain[i + lane])
              << isa << ", function " << static_cast<int>(function) << " of " << inputs[i + lane];
          ASSERT_LT(++wrong, 10);
        }
      }
    }
  }
}

TEST(ExactMathTest, ExpIsWithinTwoUlpAndNeverFalls) {
  float before = 0;
  for (uint32_t bits = std::bit_cast<uint32_t>(-87.0f); bits > 0x80000000; bits -= 251) {
    const auto x = std::bit_cast<float>(bits);
    const float found = exact::Exp(x);
    const double expected = std::exp(double{x});
    ASSERT_LE(std::abs(found - expected), 0x1p-22 * expected) << x;
    ASSERT_GE(found, before) << x;
    before = found;
  }
  EXPECT_EQ(exact::Exp(-0.0f), 1);
  EXPECT_LE(before, 1);
}

TEST(ExactMathTest, PowersAreCloseToTheTrueValue) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> bases(1, 1e8), exponents(0, 1);
  for (int i = 0; i < 200'000; ++i) {
    const double x = bases(random), y = exponents(random);
    const long double expected = std::pow(static_cast<long double>(x), static_cast<long double>(y));
    const long double bound = (2 + y * std::log(x)) * 0x1p-52L * expected;
    ASSERT_LE(std::abs(exact::PowDouble(x, y) - expected), bound) << x << " " << y;
  }
  EXPECT_EQ(exact::PowDouble(10000, 0), 1);
}

// Angles of positions are floats, some of them close to multiples of π/2.
TEST(ExactMathTest, CosineAndSineAreCloseToTheTrueValue) {
  const auto check = [](double x) {
    const exact::CosSin found = exact::CosSinDouble(x);
    ASSERT_LE(std::abs(found.cos - std::cos(static_cast<long double>(x))), 0x1p-52L) << x;
    ASSERT_LE(std::abs(found.sin - std::sin(static_cast<long double>(x))), 0x1p-52L) << x;
  };
  for (int i = 0; i < 2'000'000; ++i) check(static_cast<float>(i) * 0.7943282f);
  for (int n = 0; n < 10'000; ++n) check(static_cast<float>(n * 1.5707963267948966));
  for (const double x : {0x1p24, -0x1p24, -1.0, 0x1p-60}) check(x);
  EXPECT_EQ(exact::CosSinDouble(0).cos, 1);
  EXPECT_EQ(exact::CosSinDouble(0).sin, 0);
}

TEST(ExactMathTest, RotationTurnsAPointAndRoundsTwice) {
  const exact::Point turned = exact::Rotate({3, 4}, 0, 1);
  EXPECT_EQ(turned.a, -4);
  EXPECT_EQ(turned.b, 3);
  const exact::Point slight = exact::Rotate({0.1f, 0.3f}, 0.8f, 0.6f);
  EXPECT_EQ(slight.a, std::fma(-0.3f, 0.6f, 0.1f * 0.8f));
  EXPECT_EQ(slight.b, std::fma(0.1f, 0.6f, 0.3f * 0.8f));
}

// In units of 2^-53 of the result.
double UnitsOff(double found, long double expected) {
  return static_cast<double>(std::abs((found - expected) / expected) * 0x1p53L);
}

TEST(ExactMathTest, ExpDoubleIsWithinItsBound) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> wide(-708, 0), narrow(-1, 0), exponent(-60, 0);
  double worst = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    for (const double x : {wide(random), narrow(random), -std::exp2(exponent(random))}) {
      worst = std::max(worst, UnitsOff(exact::ExpDouble(x), std::exp(static_cast<long double>(x))));
    }
  }
  EXPECT_LT(worst, 1.3);
  EXPECT_EQ(exact::ExpDouble(0.0), 1);
  EXPECT_EQ(exact::ExpDouble(-708.5), 0);
  EXPECT_EQ(exact::ExpDouble(-std::numeric_limits<double>::infinity()), 0);
  EXPECT_TRUE(std::isnan(exact::ExpDouble(std::numeric_limits<double>::quiet_NaN())));
}

TEST(ExactMathTest, LogDoubleIsWithinItsBound) {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> exponent(-1022, 1023), near_one(0.5, 2), sums(1, 3);
  double worst = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    for (const double x : {std::exp2(exponent(random)), near_one(random), sums(random)}) {
      if (x == 1) continue;
      worst = std::max(worst, UnitsOff(exact::LogDouble(x), std::log(static_cast<long double>(x))));
    }
  }
  EXPECT_LT(worst, 1.7);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(exact::LogDouble(1), 0);
  EXPECT_EQ(exact::LogDouble(kInfinity), kInfinity);
  EXPECT_EQ(exact::LogDouble(0), -kInfinity);
  EXPECT_TRUE(std::isnan(exact::LogDouble(std::numeric_limits<double>::quiet_NaN())));
}

}  // namespace
}  // namespace dyad::kernels
#endif  // HWY_ONCE
