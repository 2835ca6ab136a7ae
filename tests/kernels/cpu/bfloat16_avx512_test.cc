// Sums of pairs, alone: each number of rows, whatever the depth.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/bfloat16.h"
#include "kernels/cpu/bfloat16.h"

namespace dyad::kernels {
namespace {

// Any bits: numbers of all sizes, denormals, infinities and NaN.
std::vector<uint16_t> Numbers(std::mt19937& random, size_t count, bool any) {
  std::vector<uint16_t> numbers(count);
  for (uint16_t& number : numbers) {
    number = static_cast<uint16_t>(random());
    if (!any) number = static_cast<uint16_t>((number & 0x83ffu) | 0x3c00u);  // 2^-7 to 2
  }
  return numbers;
}

TEST(AddPairsTest, IsTwoFusedMultiplyAddsForEachPair) {
  if (!MultipliesPairs()) GTEST_SKIP() << "this processor does not multiply pairs of bfloat16";
  std::mt19937 random(1);
  for (const bool any : {false, true}) {
    for (const int64_t pairs : {1, 2, 3, 5, 128, 201}) {
      const int64_t stride = pairs * 4 + 64;
      const auto x = Numbers(random, static_cast<size_t>(kRowTile * stride / 2), any);
      const auto weights = Numbers(random, static_cast<size_t>(pairs * 64 + 20000), any);
      for (int64_t rows = 1; rows <= kRowTile; ++rows) {
        for (const bool many : {false, true}) {
          const Start start = random() % 2 == 0 ? Start::kSums : Start::kZeros;
          std::vector<float> sums(static_cast<size_t>(rows * kPanelOutputs));
          for (float& sum : sums) {
            sum = any ? std::bit_cast<float>(static_cast<uint32_t>(random())) : 0.25f;
          }
          std::vector<float> expected = sums;
          if (start == Start::kZeros) expected.assign(sums.size(), 0.0f);
          for (int64_t at = 0; at < rows * kPanelOutputs; ++at) {
            for (int64_t pair = 0; pair < pairs; ++pair) {
              for (const int64_t k : {1, 0}) {
                const int64_t of_x = at / kPanelOutputs * stride / 2 + 2 * pair + k;
                const int64_t of_w = 64 * pair + 2 * (at % kPanelOutputs) + k;
                float& sum = expected[static_cast<size_t>(at)];
                sum = AddBfloat16Product(FromBfloat16(x[static_cast<size_t>(of_x)]),
                                         FromBfloat16(weights[static_cast<size_t>(of_w)]), sum);
              }
            }
          }
          AddPairs({.x = reinterpret_cast<const uint8_t*>(x.data()),
                    .x_stride = stride,
                    .weights = weights.data(),
                    .pairs = pairs,
                    .start = start,
                    .ahead = reinterpret_cast<const char*>(weights.data()),
                    .ahead_step = 0,
                    .many = many},
                   rows, sums.data());
          for (size_t at = 0; at < sums.size(); ++at) {
            if (std::isnan(expected[at]) && std::isnan(sums[at])) continue;
            ASSERT_EQ(std::bit_cast<uint32_t>(sums[at]), std::bit_cast<uint32_t>(expected[at]))
                << pairs << " pairs, " << rows << " rows";
          }
        }
      }
    }
  }
}

// Every exponent with fractions around each tie, and each length of the rest of a vector.
TEST(RoundByInstructionTest, IsTheDefinition) {
  if (!MultipliesPairs()) GTEST_SKIP() << "this processor does not round to bfloat16";
  std::vector<float> x;
  for (uint32_t high = 0; high < 1 << 16; ++high) {
    for (const uint32_t low : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      x.push_back(std::bit_cast<float>(high << 16 | low));
    }
  }
  std::vector<uint16_t> found(x.size());
  RoundByInstruction(x.data(), static_cast<int64_t>(x.size()), found.data());
  for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(found[i], ToBfloat16Activation(x[i])) << x[i];
  for (int64_t count = 0; count < 70; ++count) {
    std::vector<uint16_t> rest(80, 7);
    RoundByInstruction(x.data() + 100001, count, rest.data());
    for (int64_t i = 0; i < 80; ++i) {
      const auto at = static_cast<size_t>(i);
      ASSERT_EQ(rest[at], i < count ? ToBfloat16Activation(x[100001 + at]) : 7) << count;
    }
  }
}

}  // namespace
}  // namespace dyad::kernels
