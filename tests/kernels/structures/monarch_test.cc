// Monarch by its formula, padded and cropped, and tensors that do not fit.
#include <gmock/gmock.h>

#include "tests/kernels/structures/compiled_layer.h"

namespace dyad::kernels {
namespace {

using ::testing::HasSubstr;

// blkdiag1 [nb, q, i], blkdiag2 [nb, o, q]; x is padded with zeros to nb·i, y cropped to `out`.
std::vector<double> Formula(size_t nb, size_t q, const std::vector<float>& first,
                            const std::vector<float>& second, const std::vector<float>& bias,
                            const std::vector<float>& x) {
  const size_t ci = first.size() / (nb * q), co = second.size() / (nb * q);
  std::vector<double> padded(x.begin(), x.end()), h(nb * q), y(nb * co);
  padded.resize(nb * ci);
  for (size_t b = 0; b < nb; ++b) {
    for (size_t j = 0; j < q; ++j) {
      for (size_t i = 0; i < ci; ++i)
        h[b * q + j] += first[(b * q + j) * ci + i] * padded[b * ci + i];
    }
  }
  for (size_t b = 0; b < nb; ++b) {
    for (size_t o = 0; o < co; ++o) {
      for (size_t j = 0; j < q; ++j) y[o * nb + b] += second[(b * co + o) * q + j] * h[j * nb + b];
    }
  }
  y.resize(bias.size());
  for (size_t o = 0; o < y.size(); ++o) y[o] += bias[o];
  return y;
}

TEST(MonarchTest, IsItsFormulaPaddedAndCropped) {
  struct Sizes {
    int64_t in, out, blocks, inner;
  };
  for (const Sizes& s :
       {Sizes{12, 8, 4, 3}, {13, 8, 4, 2}, {12, 9, 4, 4}, {14, 11, 5, 3}, {5, 5, 4, 2}}) {
    CompiledLayer layer("monarch");
    const auto blocks = static_cast<size_t>(s.blocks);
    const int64_t in = (s.in + s.blocks - 1) / s.blocks, out = (s.out + s.blocks - 1) / s.blocks;
    const std::vector<float>& first = layer.Add("blkdiag1", {s.blocks, s.inner, in});
    const std::vector<float>& second = layer.Add("blkdiag2", {s.blocks, out, s.inner});
    const std::vector<float>& bias = layer.Add("bias", {s.out});
    ASSERT_EQ(layer.Compile({s.in, s.out, Bias::kPresent}), "");
    EXPECT_EQ(layer.plan.structure, "monarch " + std::to_string(s.blocks) + " blocks inner " +
                                        std::to_string(s.blocks * s.inner));
    const std::vector<float> x = RandomFloats(s.in, 9);
    ExpectNear(layer.Apply(x),
               Formula(blocks, static_cast<size_t>(s.inner), first, second, bias, x));
  }
}

TEST(MonarchTest, WithoutSizesTheTensorsDecide) {
  CompiledLayer layer("monarch");
  layer.AddShape("blkdiag1", {4, 2, 3});
  layer.AddShape("blkdiag2", {4, 5, 2});
  ASSERT_EQ(layer.Compile({}), "");
  EXPECT_EQ(layer.plan.widths, (Shape{12, 20, 8}));
}

TEST(MonarchTest, RefusesOtherShapes) {
  const auto compile = [](const Shape& first, const Shape& second) {
    return CompileShapes("monarch", {13, 9}, {{"blkdiag1", first}, {"blkdiag2", second}});
  };
  EXPECT_EQ(compile({4, 2, 4}, {4, 3, 2}), "");
  EXPECT_EQ(compile({4, 2, 3}, {4, 3, 2}),
            "file: tensor fc.blkdiag1 has shape [4, 2, 3]; expected [blocks, inner/blocks, "
            "13/blocks rounded up]");
  EXPECT_EQ(compile({4, 2, 4}, {4, 2, 2}),
            "file: tensor fc.blkdiag2 has shape [4, 2, 2]; expected [4, 3, 2]");
  EXPECT_THAT(compile({4, 2, 4}, {4, 3, 3}), HasSubstr("expected [4, 3, 2]"));
  EXPECT_THAT(compile({4, 2, 4}, {2, 3, 2}), HasSubstr("expected [4, 3, 2]"));
  EXPECT_THAT(compile({4, 8}, {4, 3, 2}), HasSubstr("blkdiag1 has shape [4, 8]"));
  EXPECT_THAT(compile({0, 2, 4}, {0, 3, 2}), HasSubstr("blkdiag1 has shape [0, 2, 4]"));
  EXPECT_THAT(CompileShapes("monarch", {13, 9}, {{"blkdiag1", {4, 2, 4}}}),
              HasSubstr("fc.blkdiag2 is missing; expected shape [4, 3, 2]"));
  EXPECT_THAT(CompileShapes("monarch", {13, 9}, {{"blkdiag2", {4, 2, 4}}}),
              HasSubstr("fc.blkdiag1 is missing"));
}

}  // namespace
}  // namespace dyad::kernels
