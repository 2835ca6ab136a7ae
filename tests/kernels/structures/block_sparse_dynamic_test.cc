// Block-wise dynamic sparseness by its formula in both layouts, and what does not fit.
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>

#include "tests/kernels/structures/compiled_layer.h"

namespace dyad::kernels {
namespace {

using ::testing::HasSubstr;

struct Form {
  const char* layout;
  int64_t in, out, side, blocks;
  double ratio;
};

std::vector<double> Formula(const Form& form, const CompiledLayer& layer,
                            const std::vector<float>& x) {
  const auto &w = layer.values[0], &gate = layer.values[1], &bias = layer.values[2];
  std::vector<double> a(bias.begin(), bias.end());
  for (int64_t j = 0; j < form.blocks; ++j) {
    for (int64_t i = 0; i < form.in; ++i) {
      a[static_cast<size_t>(j)] +=
          double{gate[static_cast<size_t>(j * form.in + i)]} * x[static_cast<size_t>(i)];
    }
  }
  std::vector<double> sorted = a;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const auto keep = static_cast<size_t>(std::ceil(form.ratio * static_cast<double>(form.blocks)));
  double sum = 0;
  for (double& share : a) {
    if (share < sorted[keep - 1]) share = 0;
    sum += share;
  }
  std::vector<double> y(layer.values[3].begin(), layer.values[3].end());
  for (int64_t i = 0; i < form.in; ++i) {
    for (int64_t o = 0; o < form.out; ++o) {
      const int64_t block = form.layout == std::string_view("flat")
                                ? (i * form.out + o) / (form.side * form.side)
                                : i / form.side * (form.out / form.side) + o / form.side;
      y[static_cast<size_t>(o)] +=
          double{x[static_cast<size_t>(i)]} * w[static_cast<size_t>(i * form.out + o)] *
          a[static_cast<size_t>(block)] * static_cast<double>(form.blocks) / sum;
    }
  }
  return y;
}

TEST(BlockSparseDynamicTest, IsItsFormulaInBothLayouts) {
  for (const Form& form : {Form{"tile", 12, 20, 4, 15, 0.5},
                           {"tile", 6, 4, 2, 6, 1},
                           {"flat", 6, 10, 2, 15, 0.4},
                           {"flat", 12, 3, 3, 4, 0.5},
                           {"flat", 4, 36, 4, 9, 0.1}}) {
    CompiledLayer layer("block_sparse_dynamic");
    layer.Add("weight", {form.in, form.out});
    layer.Add("gates.0.weight", {form.blocks, form.in});
    layer.Add("gates.0.bias", {form.blocks});
    layer.Add("bias", {form.out});
    for (float& bias : layer.values[2]) bias += 2;  // sums that are far from 0
    layer.options.Add("layout", std::string(form.layout));
    layer.options.Add("block_size", form.side);
    layer.options.Add("keep_ratio", form.ratio);
    ASSERT_EQ(layer.Compile({form.in, form.out, Bias::kPresent}), "");
    EXPECT_TRUE(layer.leaves.untaken().empty());
    for (uint32_t seed = 20; seed < 25; ++seed) {
      const std::vector<float> x = RandomFloats(form.in, seed);
      const auto y = layer.Apply(x), expected = Formula(form, layer, x);
      for (size_t o = 0; o < y.size(); ++o) {
        EXPECT_NEAR(y[o], expected[o], 1e-5 * (1 + std::abs(expected[o]))) << form.layout;
      }
    }
  }
}

TEST(BlockSparseDynamicTest, IsNoDenseLayer) {
  CompiledLayer layer("dense");
  layer.AddShape("weight", {4, 4});
  EXPECT_TRUE(layer.structure.Matches(layer.leaves));
  layer.AddShape("gates.0.weight", {4, 4});
  EXPECT_FALSE(layer.structure.Matches(layer.leaves));
}

TEST(BlockSparseDynamicTest, RefusesWhatDoesNotFit) {
  const auto compile = [](const std::vector<std::pair<std::string, OptionValue>>& options,
                          const Shape& weight = {16, 32}, const Shape& gate = {32, 16},
                          const Shape& bias = {32}) {
    CompiledLayer layer("block_sparse_dynamic");
    layer.AddShape("weight", weight);
    layer.AddShape("gates.0.weight", gate);
    layer.AddShape("gates.0.bias", bias);
    for (const auto& [name, value] : options) layer.options.Add(name, value);
    return layer.Compile({16, 32, Bias::kNone});
  };
  const std::string flat = "flat";
  EXPECT_EQ(compile({}), "");
  EXPECT_EQ(compile({{"block_size", int64_t{4}}, {"layout", flat}}), "");
  EXPECT_THAT(compile({{"block_size", int64_t{5}}}),
              HasSubstr("block_size is 5; expected a divisor of 16 and 32"));
  EXPECT_THAT(compile({{"block_size", int64_t{5}}, {"layout", flat}}),
              HasSubstr("a number whose square divides 512"));
  EXPECT_THAT(compile({{"block_size", int64_t{0}}}), HasSubstr("block_size is 0"));
  EXPECT_THAT(compile({{"block_size", int64_t{8}}}),
              HasSubstr("gates.0.weight has shape [32, 16]; expected [8, 16]"));
  for (const double ratio : {0.0, -1.0, 1.5, double{NAN}}) {
    EXPECT_THAT(compile({{"keep_ratio", ratio}}), HasSubstr("expected (0, 1]"));
  }
  EXPECT_THAT(compile({{"layout", std::string("row")}}), HasSubstr("'row'; expected tile or flat"));
  EXPECT_THAT(compile({}, {32, 16}), HasSubstr("fc.weight has shape [32, 16]"));
  EXPECT_THAT(compile({}, {16, 32}, {32, 15}), HasSubstr("gates.0.weight has shape"));
  EXPECT_THAT(compile({}, {16, 32}, {32, 16}, {31}), HasSubstr("gates.0.bias has shape"));
  EXPECT_THAT(compile({}, {16, 32}, {31, 16}, {31}), HasSubstr("fc.gates.0.weight"));
  EXPECT_THAT(CompileShapes("block_sparse_dynamic", {16, 32},
                            {{"weight", {16, 32}}, {"gates.0.weight", {32, 16}}}),
              HasSubstr("gates.0.bias is missing"));
}

}  // namespace
}  // namespace dyad::kernels
