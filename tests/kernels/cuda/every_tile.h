// Layers in every tile of kernels/cuda/exact.h, against the chain.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "kernels/cuda/layer.h"
#include "kernels/reference/plan.h"
#include "tests/kernels/cuda/twin_devices.h"
#include "tests/support/sanitized.h"

namespace dyad::kernels::cuda {

// Rows short of a tile and past it; terms whose slices are whole, short, and end within a vector.
inline void ExpectTheChainInEveryTile() {
  const Kind kinds[] = {Kind::kTwoTerms, Kind::kTwoSteps, Kind::kTwoViews};
  const Element types[] = {Element::kFloat32, Element::kBfloat16, Element::kFloat16,
                           Element::kInt8};
  const auto runtime = Runtime::Open(0).runtime;
  ThreadPool threads(1);
  Room<float> scratch;
  uint32_t turn = 0;
  for (const ExactTile tile : kExactTiles) {
    for (const Element type : types) {
      const uint32_t i = turn++;
      if (testing::kSanitized && i % 4 != i / 4 % 4)
        continue;  // each tile, each type, not each pair
      const Kind kind = kinds[i % std::size(kinds)];
      const SampleLayer sample({kind, 2, kind == Kind::kTwoTerms ? 128 : 270, 150}, type);
      const CudaLayer layer(sample.plan(), Arithmetic::kExact, *runtime, threads);
      const int64_t rows = tile.rows + 1, in = layer.in_features(), out = layer.out_features();
      const std::vector<float> x = RandomFloats(rows * in, i);
      const Piece<float> on_device = UploadedPiece<float>(*runtime, x), y(*runtime, rows * out);
      layer.Run(*runtime, scratch,
                {.rows = rows, .x = {on_device.data(), in}, .y = {y.data(), out}, .tile = tile});
      const PinnedPiece<float> found(*runtime, rows * out);
      runtime->CopyToHost(found.data(), y.data(), found.bytes());
      runtime->Wait();
      EXPECT_EQ(FirstDifferent({found.data(), static_cast<size_t>(found.count())},
                               reference::Chain(sample.plan(), rows, {x.data(), in})),
                -1)
          << tile.outputs << " by " << tile.rows << ", type " << static_cast<int>(type);
    }
  }
}

}  // namespace dyad::kernels::cuda
