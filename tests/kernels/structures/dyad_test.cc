// DYAD's three variants by their formulas and by hand, and tensors and options that do not fit.
#include <gmock/gmock.h>

#include "tests/kernels/structures/compiled_layer.h"

namespace dyad::kernels {
namespace {

using ::testing::HasSubstr;

// The formulas of kernels/structures/dyad.cc, in plain loops.
std::vector<double> Formula(const std::string& variant, size_t blocks, size_t ci, size_t co,
                            const std::vector<float>& wl, const std::vector<float>& wu,
                            const std::vector<float>& x) {
  const size_t in = blocks * ci, out = blocks * co;
  std::vector<double> y(x.size() / in * out);
  for (size_t t = 0; t < x.size() / in; ++t) {
    for (size_t d = 0; d < blocks; ++d) {
      for (size_t o = 0; o < co; ++o) {
        for (size_t i = 0; i < ci; ++i) {
          const size_t w = (d * co + o) * ci + i;
          const size_t far_in = variant == "ot" ? d * ci + i : i * blocks + d;
          const size_t far_out = variant == "it" ? d * co + o : o * blocks + d;
          y[t * out + d * co + o] += double{wl[w]} * x[t * in + d * ci + i];
          y[t * out + far_out] += double{wu[w]} * x[t * in + far_in];
        }
      }
    }
  }
  return y;
}

TEST(DyadTest, IsItsFormulaInEveryVariant) {
  for (const std::string variant : {"it", "ot", "dt"}) {
    CompiledLayer layer("dyad");
    const std::vector<float>& wl = layer.Add("wl", {3, 5, 4});
    const std::vector<float>& wu = layer.Add("wu", {3, 5, 4});
    const std::vector<float>& bias = layer.Add("bias", {15, 1});
    layer.options.Add("variant", variant);
    ASSERT_EQ(layer.Compile({12, 15, Bias::kPresent}), "");
    EXPECT_EQ(layer.plan.structure, "dyad " + variant + " 3 blocks");
    const std::vector<float> x = RandomFloats(2 * 12, 9);
    std::vector<double> expected = Formula(variant, 3, 4, 5, wl, wu, x);
    for (size_t i = 0; i < expected.size(); ++i) expected[i] += bias[i % 15];
    ExpectNear(layer.Apply(x), expected);
  }
}

// Worked by hand: catches views swapped alike in code and formula.
std::vector<float> Outputs(const std::string& variant, const Shape& shape,
                           const std::vector<float>& wl, const std::vector<float>& wu,
                           const std::vector<float>& x) {
  CompiledLayer layer("dyad");
  layer.leaves.Add("wl", {.name = "wl", .shape = shape, .data = wl.data()});
  layer.leaves.Add("wu", {.name = "wu", .shape = shape, .data = wu.data()});
  layer.options.Add("variant", variant);
  EXPECT_EQ(layer.Compile({}), "");
  const int64_t out = layer.plan.out_features();
  std::vector<float> y(static_cast<size_t>(out));
  ThreadPool pool(1);
  Workspace workspace(pool);
  PackedLinear(layer.plan).Apply(1, {x.data(), std::ssize(x)}, {y.data(), out}, {}, workspace);
  return y;
}

TEST(DyadTest, TwoBlocksByHand) {
  const std::vector<float> wl = {1, 10, 100, 1000}, wu = {5, 7, 11, 13}, x = {1, 2, 3, 4};
  const float near0 = 1 * 1 + 10 * 2, near1 = 100 * 3 + 1000 * 4;
  EXPECT_EQ(Outputs("it", {2, 1, 2}, wl, wu, x),
            (std::vector<float>{near0 + 5 * 1 + 7 * 3, near1 + 11 * 2 + 13 * 4}));
  EXPECT_EQ(Outputs("ot", {2, 1, 2}, wl, wu, x),
            (std::vector<float>{near0 + 5 * 1 + 7 * 2, near1 + 11 * 3 + 13 * 4}));
  EXPECT_EQ(Outputs("dt", {2, 1, 2}, wl, wu, x),
            (std::vector<float>{near0 + 5 * 1 + 7 * 3, near1 + 11 * 2 + 13 * 4}));
}

// With two outputs a block, the strided destination o · D + d differs from the plain one.
TEST(DyadTest, StridedDestinationByHand) {
  EXPECT_EQ(Outputs("ot", {2, 2, 1}, {1, 2, 3, 4}, {10, 20, 30, 40}, {1, 5}),
            (std::vector<float>{1 + 10, 2 + 150, 15 + 20, 20 + 200}));
}

TEST(DyadTest, IsOneStepAsItAndTwoElse) {
  for (const auto& [variant, steps] :
       {std::pair<std::string, size_t>{"it", 1}, {"ot", 2}, {"dt", 2}}) {
    CompiledLayer layer("dyad");
    layer.AddShape("wl", {2, 3, 4});
    layer.AddShape("wu", {2, 3, 4});
    layer.options.Add("variant", variant);
    ASSERT_EQ(layer.Compile({8, 6}), "");
    EXPECT_EQ(layer.plan.steps.size(), steps);
    EXPECT_EQ(Cost(layer.plan).parameters, 2 * 24);
    EXPECT_EQ(Cost(layer.plan).multiply_adds, 2 * 24);
  }
}

TEST(DyadTest, RefusesOtherShapes) {
  const auto compile = [](const Shape& wl, const Shape& wu) {
    return CompileShapes("dyad", {16, 32}, {{"wl", wl}, {"wu", wu}});
  };
  EXPECT_EQ(compile({4, 8, 4}, {4, 8, 4}), "");
  EXPECT_EQ(compile({4, 8}, {4, 8}),
            "file: tensor fc.wl has shape [4, 8]; expected [blocks, 32/blocks, 16/blocks]");
  EXPECT_THAT(compile({0, 8, 4}, {0, 8, 4}), HasSubstr("expected [blocks, 32/blocks"));
  EXPECT_THAT(compile({3, 10, 5}, {3, 10, 5}), HasSubstr("and 3 does not divide both"));
  EXPECT_THAT(compile({4, 4, 8}, {4, 4, 8}),
              HasSubstr("fc.wl has shape [4, 4, 8]; expected [4, 8, 4]"));
  EXPECT_THAT(compile({4, 8, 4}, {4, 4, 8}),
              HasSubstr("fc.wu has shape [4, 4, 8]; expected [4, 8, 4]"));
  EXPECT_THAT(CompileShapes("dyad", {}, {{"wl", {4, 8}}, {"wu", {4, 8}}}),
              HasSubstr("expected [blocks, out/blocks, in/blocks]"));
  EXPECT_THAT(CompileShapes("dyad", {16, 32}, {{"wu", {4, 8, 4}}}), HasSubstr("fc.wl is missing"));
  EXPECT_THAT(CompileShapes("dyad", {16, 32}, {{"wl", {4, 8, 4}}}),
              HasSubstr("fc.wu is missing; expected shape [4, 8, 4]"));
}

TEST(DyadTest, ItsBiasMayBeAColumn) {
  const auto compile = [](const Shape& bias) {
    return CompileShapes("dyad", {16, 32}, {{"wl", {4, 8, 4}}, {"wu", {4, 8, 4}}, {"bias", bias}});
  };
  EXPECT_EQ(compile({32}), "");
  EXPECT_EQ(compile({32, 1}), "");
  EXPECT_THAT(compile({1, 32}), HasSubstr("fc.bias has shape [1, 32]; expected [32] or [32, 1]"));
}

TEST(DyadTest, RefusesOtherOptions) {
  const auto compile = [](const std::string& option, const OptionValue& value) {
    CompiledLayer layer("dyad");
    layer.AddShape("wl", {4, 8, 4});
    layer.AddShape("wu", {4, 8, 4});
    layer.options.AddNamed(option, "config.json: " + option, value);
    return layer.Compile({16, 32});
  };
  EXPECT_EQ(compile("variant", std::string("dt")), "");
  EXPECT_EQ(compile("variant", std::string("xt")),
            "config.json: variant is 'xt'; expected it, ot or dt");
  EXPECT_EQ(compile("variant", int64_t{1}), "config.json: variant is a number; expected a string");
  EXPECT_EQ(compile("dyad_dim", int64_t{4}), "");
  EXPECT_EQ(compile("dyad_dim", int64_t{8}),
            "config.json: dyad_dim is 8, but file: tensor fc.wl has 4 blocks");
  EXPECT_EQ(compile("dyad_dim", std::string("4")),
            "config.json: dyad_dim is a string; expected a whole number");
  EXPECT_THAT(compile("blocks", int64_t{4}), HasSubstr("'blocks'; kind 'dyad' has no such option"));
}

}  // namespace
}  // namespace dyad::kernels
