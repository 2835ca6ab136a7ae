// The bit model by hand; that it is what a tensor core computes, tests/gpu_check.sh asks the
// silicon.
#include "kernels/reference/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

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

}  // namespace
}  // namespace dyad::kernels::reference
