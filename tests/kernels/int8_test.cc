// Numbers of 8 bits: scales, ties, and rows at the edges of float32.
#include "kernels/int8.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace dyad::kernels {
namespace {

constexpr float kSmallest = std::numeric_limits<float>::min();
constexpr float kLargest = std::numeric_limits<float>::max();

TEST(Int8Test, TheLargestWeightOfARowIs127) {
  for (const float largest : {127 * kSmallest, 1e-20f, 0.3f, 1.0f, 254.0f, 7e4f, kLargest}) {
    const float scale = Int8Scale(largest);
    EXPECT_EQ(QuantizeInt8(largest, scale), 127) << largest;
    EXPECT_EQ(QuantizeInt8(-largest, scale), -127) << largest;
    EXPECT_EQ(QuantizeInt8(0, scale), 0);
  }
}

TEST(Int8Test, TiesGoToTheEvenNumber) {
  for (const auto& [value, expected] :
       {std::pair{0.5f, 0}, {1.5f, 2}, {2.5f, 2}, {-0.5f, 0}, {-1.5f, -2}, {126.5f, 126}}) {
    EXPECT_EQ(QuantizeInt8(value, 1.0f), expected) << value;
  }
  EXPECT_EQ(QuantizeInt8(std::nextafter(0.5f, 1.0f), 1.0f), 1);
  EXPECT_EQ(QuantizeInt8(std::nextafter(0.5f, 0.0f), 1.0f), 0);
}

TEST(Int8Test, ARowTooSmallForANormalScaleIsZeros) {
  for (const float largest : {0.0f, 1e-45f, 1e-38f, 126 * kSmallest}) {
    EXPECT_EQ(Int8Scale(largest), 0) << largest;
    EXPECT_EQ(QuantizeInt8(largest, 0), 0);
  }
  EXPECT_EQ(Int8Scale(128 * kSmallest), 128 * kSmallest / 127);
}

TEST(Int8Test, EveryWeightIsWithinHalfAScale) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-3, 3);
  const float scale = Int8Scale(3);
  for (int i = 0; i < 10000; ++i) {
    const float weight = uniform(random);
    const int q = QuantizeInt8(weight, scale);
    EXPECT_LE(std::abs(q), 127);
    EXPECT_LE(std::abs(static_cast<double>(q) * scale - weight), scale * (0.5 + 1e-5)) << weight;
    EXPECT_EQ(q, std::nearbyint(weight / scale)) << weight;
  }
}

}  // namespace
}  // namespace dyad::kernels
