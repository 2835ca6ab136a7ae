// The bit model by hand; that it is what a tensor core computes, tests/gpu_check.sh asks the
// silicon.
#include "kernels/reference/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <tuple>
#include <vector>

#include "kernels/float16.h"

namespace dyad::kernels::reference {
namespace {

struct Operands {
  float a[16] = {}, b[16] = {};
};

float Multiply(const Operands& operands, float c, const TensorCore& core = kTensorCore90) {
  return MultiplyTensor(core, operands.a, operands.b, c, kBfloat16Least);
}

TEST(TensorTest, IsExactWhereNothingIsCut) {
  Operands small;
  for (int k = 0; k < 16; ++k) {
    small.a[k] = static_cast<float>(k - 5);
    small.b[k] = static_cast<float>(3 * k - 20);
  }
  float sum = 7;
  for (int k = 0; k < 16; ++k) sum += small.a[k] * small.b[k];
  EXPECT_EQ(Multiply(small, 7), sum);
  EXPECT_EQ(Multiply(small, 7, kTensorCore80), sum);
}

// 2^25 fraction bits below the largest, and not one more.
TEST(TensorTest, CutsWhatIsBelowItsFractionBits) {
  Operands operands;
  operands.a[0] = operands.b[0] = 1;
  operands.a[1] = std::ldexp(1.0f, -12), operands.b[1] = std::ldexp(1.0f, -13);
  operands.a[2] = -1, operands.b[2] = 1;
  EXPECT_EQ(Multiply(operands, 0), std::ldexp(1.0f, -25));
  operands.b[1] = std::ldexp(1.0f, -14);
  EXPECT_EQ(Multiply(operands, 0), 0);
  // One bit less on the generation before.
  operands.b[1] = std::ldexp(1.0f, -13);
  EXPECT_EQ(Multiply(operands, 0, kTensorCore80), 0);
}

// The older generation adds the first half before it sees the second.
TEST(TensorTest, EarlierGenerationsTakeEightAtOnce) {
  Operands operands;
  operands.a[0] = operands.b[0] = 1;
  operands.a[1] = std::ldexp(1.0f, -12), operands.b[1] = std::ldexp(1.0f, -15);
  operands.a[8] = -1, operands.b[8] = 1;
  EXPECT_EQ(Multiply(operands, 0), 0);
  operands.a[8] = 0, operands.a[2] = -1, operands.b[2] = 1;
  EXPECT_EQ(Multiply(operands, 0, kTensorCore80), 0);
}

TEST(TensorTest, CutsTowardZeroOnBothSides) {
  Operands operands;
  operands.a[0] = 1, operands.b[0] = std::ldexp(1.0f, -24);
  const float above = Multiply(operands, 1);
  EXPECT_EQ(above, 1.0f);
  operands.a[0] = -1;
  EXPECT_EQ(Multiply(operands, -1), -1.0f);
}

TEST(TensorTest, ZerosOfEitherSignAreNoTerms) {
  Operands operands;
  operands.a[3] = -0.0f, operands.b[3] = 1e30f;
  EXPECT_EQ(Multiply(operands, std::ldexp(1.0f, -140)), std::ldexp(1.0f, -140));
  EXPECT_FALSE(std::signbit(Multiply(operands, -0.0f)));
}

TEST(TensorTest, TheOrderOfProductsDoesNotMatter) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (int turn = 0; turn < 200; ++turn) {
    Operands operands, turned;
    for (int k = 0; k < 16; ++k) {
      operands.a[k] = normal(random), operands.b[k] = normal(random);
      turned.a[(k + 5) % 16] = operands.a[k], turned.b[(k + 5) % 16] = operands.b[k];
    }
    EXPECT_EQ(Multiply(operands, 0.5f), Multiply(turned, 0.5f));
  }
}

// --- What layers make of it ---

constexpr TensorArithmetic kAccurate = {.arithmetic = Arithmetic::kAccurate};
constexpr TensorArithmetic kFast = {.arithmetic = Arithmetic::kFast};

float Term(const TensorArithmetic& arithmetic, Element type, const std::vector<float>& w,
           const std::vector<float>& x, float total = 0) {
  return AddTensorTerm(arithmetic, type, w, x, total);
}

TEST(TensorTermTest, OnePieceKeepsWhatTheFormatHolds) {
  // 1 + 2^-9 is between two numbers of bfloat16, 1 + 2^-12 between two of float16.
  const float of_bfloat16 = 1 + 0x1p-9f, of_float16 = 1 + 0x1p-12f;
  EXPECT_EQ(Term(kFast, Element::kBfloat16, {3}, {of_bfloat16}), 3.0f);
  EXPECT_EQ(Term(kFast, Element::kFloat16, {3}, {of_bfloat16}), 3 * of_bfloat16);
  EXPECT_EQ(Term(kFast, Element::kFloat16, {3}, {of_float16}), 3.0f);
  EXPECT_EQ(Term(kFast, Element::kInt8, {3}, {of_float16}), 3.0f);
  EXPECT_EQ(Term(kAccurate, Element::kBfloat16, {3}, {of_bfloat16}), 3 * of_bfloat16);
  EXPECT_EQ(Term(kAccurate, Element::kFloat16, {3}, {of_float16}), 3 * of_float16);
}

TEST(TensorTermTest, ScalesWhatFloat16CannotHold) {
  for (const float scale : {0x1p100f, 0x1p-100f, 0x1p-130f, 1.0f}) {
    for (const TensorArithmetic& arithmetic : {kAccurate, kFast}) {
      EXPECT_EQ(Term(arithmetic, Element::kFloat16, {0.5f, -3}, {2 * scale, scale}), -2 * scale);
      EXPECT_EQ(Term(arithmetic, Element::kInt8, {127}, {scale}), 127 * scale);
    }
  }
}

// One chain would cut the small number off; a segment of its own rounds to nearest.
TEST(TensorTermTest, SegmentsAreJoinedInFloat32) {
  std::vector<float> w(kTensorSegment + 1, 0.0f);
  w.front() = w.back() = 1;
  std::vector<float> x(w.size(), 0.0f);
  x.front() = 1;
  x.back() = 0x1.8p-24f;
  EXPECT_EQ(Term(kAccurate, Element::kBfloat16, w, x), 1 + 0x1p-23f);
  std::swap(x[kTensorSegment], x[kTensorSegment - 1]);
  std::swap(w[kTensorSegment], w[kTensorSegment - 1]);
  EXPECT_EQ(Term(kAccurate, Element::kBfloat16, w, x), 1.0f);
}

TEST(TensorTermTest, BeginsWithTheTotalBefore) {
  EXPECT_EQ(Term(kFast, Element::kBfloat16, {2}, {3}, 10), 16.0f);
  EXPECT_FALSE(std::signbit(Term(kFast, Element::kBfloat16, {0}, {3}, -0.0f)));
}

TEST(TensorTermTest, ZerosAtTheEndChangeNoBit) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  for (const Element type : {Element::kBfloat16, Element::kFloat16}) {
    std::vector<float> w, x;
    for (int k = 0; k < 37; ++k) {
      w.push_back(type == Element::kBfloat16 ? FromBfloat16(ToBfloat16(normal(random)))
                                             : FromFloat16(ToFloat16(normal(random))));
      x.push_back(normal(random));
    }
    const float expected = Term(kAccurate, type, w, x, 0.25f);
    w.resize(96), x.resize(96);
    EXPECT_EQ(Term(kAccurate, type, w, x, 0.25f), expected);
  }
}

TEST(TensorTermTest, WhatIsNotFiniteMakesTheTotalNan) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float value : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::max()}) {
    for (const Element type : {Element::kBfloat16, Element::kFloat16}) {
      EXPECT_TRUE(std::isnan(Term(kAccurate, type, {1, 0}, {1, value}))) << value;
    }
  }
}

// Against double: the sum of what each product may lose.
TEST(TensorTermTest, IsAsNearAsItsPiecesAre) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (const auto& [arithmetic, type, bound] : {std::tuple(kAccurate, Element::kBfloat16, 0x1p-16),
                                                {kAccurate, Element::kFloat16, 0x1p-20},
                                                {kFast, Element::kBfloat16, 0x1p-8},
                                                {kFast, Element::kFloat16, 0x1p-11}}) {
    std::vector<float> w, x;
    double sum = 0, magnitude = 0;
    for (int k = 0; k < 1200; ++k) {
      w.push_back(FromBfloat16(ToBfloat16(normal(random))) / 16);
      x.push_back(normal(random));
      sum += double{w.back()} * x.back();
      magnitude += std::abs(double{w.back()} * x.back());
    }
    EXPECT_LE(std::abs(Term(arithmetic, type, w, x) - sum), bound * magnitude);
  }
}

}  // namespace
}  // namespace dyad::kernels::reference
