// Sums of bytes, alone: each number of rows and pieces, whatever the depth.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <tuple>
#include <vector>

#include "kernels/cpu/integer.h"

namespace dyad::kernels {
namespace {

// Bytes of x and whole weights, and what their sum is.
TEST(SumBytesTest, AddsEveryPieceOfEveryRow) {
  if (!MultipliesBytes()) GTEST_SKIP() << "this processor does not multiply bytes";
  std::mt19937 random(1);
  for (const auto& [arithmetic, pieces, most] : {std::tuple{Arithmetic::kInteger24, 3, 4},
                                                 {Arithmetic::kInteger16, 2, 6},
                                                 {Arithmetic::kInteger8, 1, 12}}) {
    const int64_t quad = pieces == 3 ? 16 : 4 * pieces;
    for (const int64_t quads : {1, 2, 3, 5, 128, 129, 200}) {
      const int64_t stride = quads * quad + 64;
      std::vector<uint8_t> x(static_cast<size_t>(most * stride));
      std::vector<int8_t> weights(static_cast<size_t>(quads * 128 + 20000));
      for (uint8_t& byte : x) byte = static_cast<uint8_t>(random());
      for (int8_t& weight : weights) weight = static_cast<int8_t>(random() % 255 - 127);
      std::vector<int32_t> sums(kPanelOutputs, 0);
      for (int64_t k = 0; k < 4 * quads; ++k) {
        for (int64_t n = 0; n < kPanelOutputs; ++n) {
          sums[static_cast<size_t>(n)] += weights[static_cast<size_t>(k / 4 * 128 + 4 * n + k % 4)];
        }
      }
      const std::vector<float> units = {1, 2, 0.5f, 4, 1, 1, 3, 1, 1, 1, 1, 0.25f};
      for (int64_t rows = 1; rows <= most; ++rows) {
        for (const bool many : {false, true}) {
          std::vector<float> found(static_cast<size_t>(rows * kPanelOutputs));
          SumBytes({.x = x.data(),
                    .x_stride = stride,
                    .units = units.data(),
                    .weights = weights.data(),
                    .weight_sums = sums.data(),
                    .quads = quads,
                    .ahead = reinterpret_cast<const char*>(weights.data()),
                    .ahead_step = 0,
                    .many = many},
                   arithmetic, rows, found.data());
          for (int64_t at = 0; at < rows * kPanelOutputs; ++at) {
            const int64_t row = at / kPanelOutputs, n = at % kPanelOutputs;
            int64_t sum = 0;
            for (int64_t k = 0; k < 4 * quads; ++k) {
              int64_t whole = 0;
              for (int64_t piece = 0; piece < pieces; ++piece) {
                whole = whole * 256 +
                        x[static_cast<size_t>(row * stride + k / 4 * quad + 4 * piece + k % 4)];
              }
              whole -= int64_t{128} << (8 * (pieces - 1));
              sum += whole * weights[static_cast<size_t>(k / 4 * 128 + 4 * n + k % 4)];
            }
            ASSERT_EQ(found[static_cast<size_t>(at)],
                      static_cast<float>(sum) * units[static_cast<size_t>(row)])
                << NameOf(arithmetic) << ", " << quads << " quads, " << rows << " rows";
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace dyad::kernels
