// Boxes worked by hand, and blurred ones by the definition.
#include "kernels/structures/window_mask.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <numbers>

namespace dyad::kernels {
namespace {

using ::testing::ElementsAre;

TEST(WindowMaskTest, ABoxIsRoundedToWholeFeatures) {
  const WindowMasks masks(10, std::nullopt);
  WindowMask mask = masks.At(0.34f, 0.86f);
  EXPECT_EQ(mask.start, 9);
  EXPECT_THAT(mask.values, ElementsAre(1, 1, 1));
  EXPECT_EQ(masks.At(0.25f, 0).width(), 2) << "2.5: ties to even";
  EXPECT_EQ(masks.At(0.14f, 0).width(), 0) << "one feature is none";
  EXPECT_EQ(masks.At(0, 0).width(), 0);
  EXPECT_EQ(masks.At(1, 0.5f).width(), 10);
  EXPECT_EQ(masks.At(0.5f, 0.97f).start, 0) << "a location that rounds to the end";
  EXPECT_EQ(masks.At(0.5f, -0.75f).start, 2);
  EXPECT_EQ(masks.At(0.5f, 3.25f).start, 2);
}

// By the discrete Fourier transform of the box.
TEST(WindowMaskTest, ABlurredBoxIsItsDefinition) {
  using Complex = std::complex<double>;
  for (const int64_t n : {31, 64}) {
    for (const double sigma : {2.0, 6.0, 100.0}) {
      const WindowMask mask = WindowMasks(n, sigma).At(0.2f, 0.9f);
      const auto length = static_cast<int64_t>(std::nearbyint(0.2f * static_cast<float>(n)));
      const auto start = static_cast<int64_t>(std::nearbyint(0.9f * static_cast<float>(n)));
      int64_t inside = 0;
      for (int64_t j = 0; j < n; ++j) {
        Complex value = 0;
        for (int64_t k = 0; k < n; ++k) {
          const auto frequency = static_cast<double>(std::min(k, n - k));
          const double angle =
              2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n);
          for (int64_t i = start; i < start + length; ++i) {
            value += std::exp(-frequency * frequency / (2 * sigma * sigma)) *
                     std::polar(1.0, angle * static_cast<double>(j - i)) / static_cast<double>(n);
          }
        }
        const double expected = std::abs(value.real()) < 1e-3 ? 0.0 : value.real();
        const int64_t at = (j - mask.start + n) % n;
        const double found = at < mask.width() ? mask.values[static_cast<size_t>(at)] : 0.0;
        EXPECT_NEAR(found, expected, 1e-9) << n << " " << sigma << " " << j;
        inside += expected != 0 ? 1 : 0;
      }
      EXPECT_GE(mask.width(), inside);
      EXPECT_GT(std::abs(mask.values.front()), 0);
      EXPECT_GT(std::abs(mask.values.back()), 0);
    }
  }
}

}  // namespace
}  // namespace dyad::kernels
