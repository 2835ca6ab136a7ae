// Sums of lines by VNNI, alone: each number of rows and lines, whatever the sums.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "kernels/cpu/attention_int8.h"
#include "kernels/cpu/integer.h"

namespace dyad::kernels {
namespace {

enum class Range { kAny, kNotNegative };

// Rows of halves and lines of bytes, among them the largest of either sign, and what their sums
// are.
void ExpectSums(int64_t segments, int64_t quads, Range range, std::mt19937& random) {
  const int64_t count = segments * quads * 4, stride = segments * quads * 8 + 64;
  std::vector<uint8_t> x(static_cast<size_t>(kLineRows * stride));
  std::vector<std::vector<int32_t>> q(kLineRows);
  std::vector<int32_t> high_sums;
  for (int64_t r = 0; r < kLineRows; ++r) {
    high_sums.push_back(0);
    for (int64_t k = 0; k < count; ++k) {
      const int32_t extremes[] = {32767, range == Range::kAny ? -32768 : 0, 0};
      const auto any = static_cast<int16_t>(random());
      const int32_t value = random() % 4 == 0      ? extremes[random() % 3]
                            : range == Range::kAny ? any
                                                   : any & 0x7fff;
      q[static_cast<size_t>(r)].push_back(value);
      uint8_t* quad = &x[static_cast<size_t>(r * stride + k / 4 * 8)];
      quad[k % 4] = static_cast<uint8_t>(value >> 8);
      quad[4 + k % 4] = static_cast<uint8_t>(value);
      high_sums.back() += value >> 8;
    }
  }
  std::vector<int8_t> memory(static_cast<size_t>(segments * kMostLines * quads * kLineBytes));
  for (int8_t& byte : memory) byte = static_cast<int8_t>(random() % 255 - 127);
  std::vector<const int8_t*> lines;
  for (int64_t i = 0; i < segments * kMostLines; ++i) {
    lines.push_back(&memory[static_cast<size_t>(i * quads * kLineBytes)]);
  }
  const std::vector<float> units = {1.0f, 0.25f, 0x1p-30f};
  for (int64_t rows = 1; rows <= kLineRows; ++rows) {
    for (int64_t count_of_lines = 1; count_of_lines <= kMostLines; ++count_of_lines) {
      std::vector<float> to(kLineRows * kMostLines * kLineSums, -7.0f);
      std::vector<float> expected = to;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t sum = 0; sum < count_of_lines * kLineSums; ++sum) {
          int64_t whole = 0;
          for (int64_t k = 0; k < count; ++k) {
            const int64_t quad = k / 4 % quads, segment = k / 4 / quads;
            whole += q[static_cast<size_t>(r)][static_cast<size_t>(k)] *
                     lines[static_cast<size_t>(segment * kMostLines + sum / 16)]
                          [quad * kLineBytes + sum % 16 * 4 + k % 4];
          }
          expected[static_cast<size_t>(r * kMostLines * kLineSums + sum)] =
              static_cast<float>(whole) * units[static_cast<size_t>(r)];
        }
      }
      SumLinesOfHalves({.x = x.data(),
                        .x_stride = stride,
                        .units = units.data(),
                        .high_sums = range == Range::kAny ? high_sums.data() : nullptr,
                        .lines = lines.data(),
                        .segments = segments,
                        .quads = quads,
                        .to = to.data()},
                       rows, count_of_lines);
      ASSERT_EQ(to, expected) << rows << " rows, " << count_of_lines << " lines";
    }
  }
}

TEST(SumLinesOfHalvesTest, AddsBothHalvesOfEveryRow) {
  if (!MultipliesBytes()) GTEST_SKIP() << "this processor does not multiply bytes";
  std::mt19937 random(1);
  for (const int64_t segments : {1, 2, 4}) {
    for (const int64_t quads : {1, 2, 3, 5, 16, 32}) {
      ExpectSums(segments, quads, Range::kAny, random);
      ExpectSums(segments, quads, Range::kNotNegative, random);
    }
  }
}

}  // namespace
}  // namespace dyad::kernels
