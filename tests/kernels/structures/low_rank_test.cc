// y = U (V x) + bias by its formula, under each of its names, and tensors that do not fit.
#include <gmock/gmock.h>

#include "tests/kernels/structures/compiled_layer.h"

namespace dyad::kernels {
namespace {

using ::testing::HasSubstr;

std::vector<double> Formula(const std::vector<float>& v, const std::vector<float>& u,
                            const std::vector<float>& bias, const std::vector<float>& x) {
  const size_t out = bias.size(), rank = u.size() / out, in = v.size() / rank;
  std::vector<double> y;
  for (size_t t = 0; t < x.size() / in; ++t) {
    std::vector<double> h(rank);
    for (size_t j = 0; j < rank; ++j) {
      for (size_t i = 0; i < in; ++i) h[j] += double{v[j * in + i]} * x[t * in + i];
    }
    for (size_t o = 0; o < out; ++o) {
      double sum = bias[o];
      for (size_t j = 0; j < rank; ++j) sum += u[o * rank + j] * h[j];
      y.push_back(sum);
    }
  }
  return y;
}

TEST(LowRankTest, IsItsFormulaUnderEachOfItsNames) {
  const std::vector<std::vector<std::string>> names = {
      {"lr_weight1", "lr_weight2", "bias"},
      {"first.weight", "second.weight", "second.bias"},
      {"BLinear.weight", "ALinear.weight", "ALinear.bias"},
      {"ALinear.weight", "BLinear.weight", "BLinear.bias"},  // shapes decide, not letters
      {"mod_a.weight", "mod_b.weight", "bias"},
      {"lr1", "lr2", "bias"}};
  for (const auto& name : names) {
    CompiledLayer layer("low_rank");
    const std::vector<float>& v = layer.Add(name[0], {3, 7});
    const std::vector<float>& u = layer.Add(name[1], {5, 3});
    const std::vector<float>& bias = layer.Add(name[2], {5});
    EXPECT_TRUE(layer.structure.Matches(layer.leaves));
    ASSERT_EQ(layer.Compile({7, 5, Bias::kPresent}), "") << name[0];
    EXPECT_EQ(layer.plan.structure, "low_rank rank 3");
    EXPECT_TRUE(layer.leaves.untaken().empty());
    const std::vector<float> x = RandomFloats(2 * 7, 9);
    ExpectNear(layer.Apply(x), Formula(v, u, bias, x));
  }
}

TEST(LowRankTest, CostsTheRankTimesBothSizes) {
  CompiledLayer layer("low_rank");
  layer.AddShape("lr_weight1", {3, 7});
  layer.AddShape("lr_weight2", {5, 3});
  ASSERT_EQ(layer.Compile({}), "");
  EXPECT_EQ(Cost(layer.plan).parameters, 3 * (7 + 5));
  EXPECT_EQ(Cost(layer.plan).scratch_floats, 3);
}

TEST(LowRankTest, RefusesOtherShapes) {
  const auto compile = [](const Shape& v, const Shape& u) {
    return CompileShapes("low_rank", {7, 5}, {{"lr_weight1", v}, {"lr_weight2", u}});
  };
  EXPECT_EQ(compile({3, 7}, {5, 3}), "");
  EXPECT_EQ(compile({3, 6}, {5, 3}),
            "file: tensor fc.lr_weight1 has shape [3, 6]; expected [rank, 7]");
  EXPECT_EQ(compile({3, 7}, {5, 4}),
            "file: tensor fc.lr_weight2 has shape [5, 4]; expected [5, 3]");
  EXPECT_EQ(compile({3, 7}, {6, 3}),
            "file: tensor fc.lr_weight2 has shape [6, 3]; expected [5, 3]");
  EXPECT_THAT(compile({3, 1, 7}, {5, 3}), HasSubstr("expected [rank, 7]"));
  EXPECT_THAT(compile({0, 7}, {5, 0}), HasSubstr("expected [rank, 7]"));
  EXPECT_EQ(CompileShapes("low_rank", {7, 5}, {{"lr_weight2", {5, 3}}}),
            "file: tensor fc.lr_weight1 is missing; expected shape [rank, 7]");
  EXPECT_EQ(CompileShapes("low_rank", {7, 5}, {{"lr_weight1", {3, 7}}}),
            "file: tensor fc.lr_weight2 is missing; expected shape [5, rank]");
}

// The family that windows such factors has more tensors, and is none of these.
TEST(LowRankTest, DoesNotMatchFactorsWithWindows) {
  CompiledLayer layer("low_rank");
  for (const char* leaf : {"lr_weight1", "lr_weight2", "widths", "locations"}) {
    layer.AddShape(leaf, {2, 2});
  }
  EXPECT_FALSE(layer.structure.Matches(layer.leaves));
}

}  // namespace
}  // namespace dyad::kernels
