// Angles by the formula, rounded where the reference rounds.
#include "server/model/rotary.h"

#include <cmath>

#include "gtest/gtest.h"

namespace dyad {
namespace {

TEST(RotaryTest, AnglesFollowTheFormula) {
  const RotaryAngles angles = MakeRotaryAngles(2048, 6, 10000);
  ASSERT_EQ(angles.cos.size(), 2048u * 3);
  ASSERT_EQ(angles.sin.size(), 2048u * 3);
  for (int64_t p : {0, 1, 7, 2047}) {
    for (int64_t i = 0; i < 3; ++i) {
      const double angle = static_cast<double>(p) * std::pow(10000.0, -2.0 * i / 6.0);
      // The frequency is a float32: its error grows with the position.
      const double bound = 1e-7 + 2e-7 * angle;
      EXPECT_NEAR(angles.cos[p * 3 + i], std::cos(angle), bound) << p << " " << i;
      EXPECT_NEAR(angles.sin[p * 3 + i], std::sin(angle), bound) << p << " " << i;
    }
  }
}

// The float32 product position · frequency, not a more exact one: late positions differ visibly.
TEST(RotaryTest, RoundsTheAngleToFloat32) {
  const RotaryAngles angles = MakeRotaryAngles(2000, 64, 10000);
  const float frequency = 1.0f / std::pow(10000.0f, 2.0f / 64.0f);
  const float angle = 1999.0f * frequency;
  EXPECT_EQ(angles.cos[1999 * 32 + 1], static_cast<float>(std::cos(double{angle})));
}

// No C library is asked, and none would give other numbers.
TEST(RotaryTest, EqualsTheCorrectlyRoundedNumbers) {
  const RotaryAngles angles = MakeRotaryAngles(2048, 64, 10000);
  int64_t different = 0;
  for (int64_t i = 0; i < 32; ++i) {
    const auto power = static_cast<float>(std::pow(10000.0L, 2.0L * i / 64.0L));
    for (int64_t p = 0; p < 2048; ++p) {
      const float angle = static_cast<float>(p) * (1.0f / power);
      const auto cos = static_cast<float>(std::cos(static_cast<long double>(angle)));
      const auto sin = static_cast<float>(std::sin(static_cast<long double>(angle)));
      different += angles.cos[p * 32 + i] != cos;
      different += angles.sin[p * 32 + i] != sin;
    }
  }
  EXPECT_EQ(different, 0);
}

TEST(RotaryTest, NothingRotatesAtSizeZero) {
  EXPECT_TRUE(MakeRotaryAngles(100, 0, 10000).cos.empty());
  EXPECT_TRUE(MakeRotaryAngles(100, 0, 10000).sin.empty());
}

}  // namespace
}  // namespace dyad
