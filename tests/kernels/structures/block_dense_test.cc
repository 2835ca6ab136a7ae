// BlockDense by its formula, and tensors that do not fit.
#include <gmock/gmock.h>

#include "tests/kernels/structures/compiled_layer.h"

namespace dyad::kernels {
namespace {

using ::testing::HasSubstr;

// blkdiag [nb, q, i], lr [out, nb·q].
std::vector<double> Formula(size_t nb, size_t q, const std::vector<float>& first,
                            const std::vector<float>& second, const std::vector<float>& bias,
                            const std::vector<float>& x) {
  const size_t ci = x.size() / nb;
  std::vector<double> h(nb * q), y(bias.begin(), bias.end());
  for (size_t b = 0; b < nb; ++b) {
    for (size_t j = 0; j < q; ++j) {
      for (size_t i = 0; i < ci; ++i)
        h[b * q + j] += double{first[(b * q + j) * ci + i]} * x[b * ci + i];
    }
  }
  for (size_t o = 0; o < y.size(); ++o) {
    for (size_t k = 0; k < h.size(); ++k) y[o] += second[o * h.size() + k] * h[k];
  }
  return y;
}

TEST(BlockDenseTest, IsItsFormula) {
  struct Sizes {
    int64_t in, out, blocks, inner;
  };
  for (const Sizes& s : {Sizes{12, 7, 4, 3}, {15, 9, 3, 1}, {6, 20, 2, 17}, {5, 4, 1, 3}}) {
    CompiledLayer layer("block_dense");
    const std::vector<float>& first = layer.Add("blkdiag", {s.blocks, s.inner, s.in / s.blocks});
    const std::vector<float>& second = layer.Add("lr", {s.out, s.blocks * s.inner});
    const std::vector<float>& bias = layer.Add("bias", {s.out});
    ASSERT_EQ(layer.Compile({s.in, s.out, Bias::kPresent}), "");
    EXPECT_EQ(layer.plan.structure, "block_dense " + std::to_string(s.blocks) +
                                        (s.blocks == 1 ? " block" : " blocks") + " inner " +
                                        std::to_string(s.blocks * s.inner));
    EXPECT_EQ(Cost(layer.plan).parameters, s.inner * s.in + s.out * s.blocks * s.inner);
    const std::vector<float> x = RandomFloats(s.in, 9);
    ExpectNear(layer.Apply(x), Formula(static_cast<size_t>(s.blocks), static_cast<size_t>(s.inner),
                                       first, second, bias, x));
  }
}

TEST(BlockDenseTest, WithoutSizesTheTensorsDecide) {
  CompiledLayer layer("block_dense");
  layer.AddShape("blkdiag", {4, 2, 3});
  layer.AddShape("lr", {5, 8});
  ASSERT_EQ(layer.Compile({}), "");
  EXPECT_EQ(layer.plan.widths, (Shape{12, 5, 8}));
}

TEST(BlockDenseTest, RefusesOtherShapes) {
  const auto compile = [](const Shape& first, const Shape& second) {
    return CompileShapes("block_dense", {12, 9}, {{"blkdiag", first}, {"lr", second}});
  };
  EXPECT_EQ(compile({4, 2, 3}, {9, 8}), "");
  EXPECT_EQ(compile({4, 2, 4}, {9, 8}),
            "file: tensor fc.blkdiag has shape [4, 2, 4]; expected [blocks, inner/blocks, "
            "12/blocks]");
  EXPECT_THAT(compile({5, 2, 2}, {9, 10}), HasSubstr("blkdiag has shape [5, 2, 2]"));
  EXPECT_EQ(compile({4, 2, 3}, {9, 7}), "file: tensor fc.lr has shape [9, 7]; expected [9, 8]");
  EXPECT_THAT(compile({4, 2, 3}, {8, 8}), HasSubstr("lr has shape [8, 8]; expected [9, 8]"));
  EXPECT_THAT(compile({4, 2, 3}, {9, 8, 1}), HasSubstr("expected [9, 8]"));
  EXPECT_THAT(compile({4, 6}, {9, 8}), HasSubstr("blkdiag has shape [4, 6]"));
  EXPECT_THAT(compile({4, 0, 3}, {9, 0}), HasSubstr("blkdiag has shape [4, 0, 3]"));
  EXPECT_THAT(CompileShapes("block_dense", {12, 9}, {{"blkdiag", {4, 2, 3}}}),
              HasSubstr("fc.lr is missing; expected shape [9, 8]"));
  EXPECT_THAT(CompileShapes("block_dense", {12, 9}, {{"lr", {9, 8}}}),
              HasSubstr("fc.blkdiag is missing"));
}

}  // namespace
}  // namespace dyad::kernels
