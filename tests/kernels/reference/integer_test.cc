// Whole numbers by their definition.
#include "kernels/reference/integer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace dyad::kernels::reference {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

TEST(WholeRowTest, RoundsToTheNearestAndTiesToEven) {
  // The unit is 2^-14.
  const std::vector<float> x = {1.0f, 0x1p-14f, 1.5f * 0x1p-14f, 2.5f * 0x1p-14f, -0.5f * 0x1p-14f};
  const WholeRow row = ToWholeRow(Arithmetic::kInteger16, x);
  EXPECT_EQ(row.unit, 0x1p-14f);
  EXPECT_THAT(row.whole, ElementsAre(1 << 14, 1, 2, 2, 0));
}

TEST(WholeRowTest, CutsTheLargestAlone) {
  const std::vector<float> x = {0x1.fffffep0f, -0x1.fffffep0f};
  EXPECT_THAT(ToWholeRow(Arithmetic::kInteger16, x).whole, ElementsAre(32767, -32768));
  EXPECT_THAT(ToWholeRow(Arithmetic::kInteger24, x).whole, ElementsAre(8388607, -8388608));
  EXPECT_THAT(ToWholeRow(Arithmetic::kInteger8, x).whole, ElementsAre(127, -127));
}

TEST(WholeRowTest, UnitsAreNormalNumbers) {
  for (const float largest :
       {std::numeric_limits<float>::max(), 1.0f, 0x1p-126f, 0x1p-149f, 0.0f}) {
    for (const Arithmetic arithmetic :
         {Arithmetic::kInteger24, Arithmetic::kInteger16, Arithmetic::kInteger8}) {
      const WholeRow row = ToWholeRow(arithmetic, std::vector<float>{largest, 0.0f});
      EXPECT_TRUE(std::isnormal(row.unit)) << largest;
      EXPECT_LE(std::abs(static_cast<double>(row.unit) * row.whole[0] - largest), row.unit);
    }
  }
}

TEST(WholeRowTest, ARowThatIsNotFiniteIsNoNumber) {
  for (const float value :
       {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN()}) {
    const WholeRow row = ToWholeRow(Arithmetic::kInteger16, std::vector<float>{1.0f, value, 3e38f});
    EXPECT_TRUE(std::isnan(row.unit));
    EXPECT_THAT(row.whole, Each(0));
  }
}

TEST(QuantizedTest, KeepsThePlan) {
  const Quantized row = Quantize({-254, 3, 1, 5.1, 0});
  EXPECT_EQ(row.scale, 2.0f);
  EXPECT_THAT(row.whole, ElementsAre(-127, 2, 0, 3, 0));
}

}  // namespace
}  // namespace dyad::kernels::reference
