// Gaudi-GBLR by its formula over all features, whatever the windows; and what does not fit.
#include <gmock/gmock.h>

#include "kernels/structures/window_mask.h"
#include "tests/kernels/structures/compiled_layer.h"

namespace dyad::kernels {
namespace {

using ::testing::HasSubstr;

struct Sizes {
  int64_t components, rank, in, out;
};

double MaskAt(const WindowMask& mask, int64_t feature, int64_t n) {
  const int64_t at = (feature - mask.start + n) % n;
  return at < mask.width() ? mask.values[static_cast<size_t>(at)] : 0.0;
}

struct Layer {
  explicit Layer(const Sizes& s) : s(s), compiled("gblr") {
    compiled.Add("lr_weight1", {s.components, s.rank, s.in});
    compiled.Add("lr_weight2", {s.components, s.out, s.rank});
    compiled.Add("widths", {2, s.components});
    compiled.Add("locations", {2, s.components});
    for (float& width : compiled.values[2]) width = std::abs(width);
    compiled.Add("bias", {s.out});
    compiled.Add("sigma", {});
    compiled.values[5][0] = 5;
    compiled.AddShape("freq_in", {s.in / 2 + 1});
    compiled.AddShape("freq_out", {s.out / 2 + 1});
  }
  float& width(int64_t side, int64_t c) {
    return compiled.values[2][static_cast<size_t>(side * s.components + c)];
  }
  float& location(int64_t side, int64_t c) {
    return compiled.values[3][static_cast<size_t>(side * s.components + c)];
  }

  std::vector<double> Formula(std::optional<double> sigma, const std::vector<float>& x) {
    const WindowMasks in(s.in, sigma), out(s.out, sigma);
    const auto &v = compiled.values[0], &u = compiled.values[1];
    std::vector<double> y(compiled.values[4].begin(), compiled.values[4].end());
    for (int64_t c = 0; c < s.components; ++c) {
      const WindowMask m1 = in.At(width(0, c), location(0, c));
      const WindowMask m2 = out.At(width(1, c), location(1, c));
      for (int64_t r = 0; r < s.rank; ++r) {
        double h = 0;
        for (int64_t i = 0; i < s.in; ++i) {
          h += v[static_cast<size_t>((c * s.rank + r) * s.in + i)] * MaskAt(m1, i, s.in) *
               x[static_cast<size_t>(i)];
        }
        for (int64_t o = 0; o < s.out; ++o) {
          y[static_cast<size_t>(o)] +=
              u[static_cast<size_t>((c * s.out + o) * s.rank + r)] * MaskAt(m2, o, s.out) * h;
        }
      }
    }
    return y;
  }

  Sizes s;
  CompiledLayer compiled;
};

TEST(GblrTest, IsItsFormulaWithBoxesAndGaussians) {
  for (const Sizes& s : {Sizes{20, 1, 60, 151}, {14, 2, 37, 40}, {70, 1, 64, 33}, {1, 1, 5, 4}}) {
    for (const bool gaussian : {false, true}) {
      Layer layer(s);
      layer.width(0, 0) = 1;
      layer.width(1, 0) = 1;
      if (s.components > 5) {
        layer.width(0, 1) = 0;  // off
        layer.width(1, 2) = 0;
        layer.location(0, 3) = 0.95f;  // wraps
        layer.width(0, 3) = 0.3f;
        layer.location(1, 4) = 0.999f;
      }
      layer.compiled.options.Add("gaussian", gaussian);
      ASSERT_EQ(layer.compiled.Compile({s.in, s.out, Bias::kPresent}), "");
      EXPECT_EQ(layer.compiled.plan.structure.substr(0, 5), "gblr ");
      EXPECT_TRUE(layer.compiled.leaves.untaken().empty());
      const std::vector<float> x = RandomFloats(s.in, 77);
      const auto y = layer.compiled.Apply(x);
      const auto expected = layer.Formula(gaussian ? std::optional<double>(5.0) : std::nullopt, x);
      for (size_t i = 0; i < y.size(); ++i) {  // masks are folded into float32
        EXPECT_NEAR(y[i], expected[i], gaussian ? 1e-5 : 1e-12 * (1 + std::abs(expected[i])));
      }
    }
  }
}

TEST(GblrTest, WhereAllIsOffTheBiasIsLeft) {
  Layer layer({3, 1, 8, 6});
  for (float& width : layer.compiled.values[2]) width = 0.1f;  // of one feature
  ASSERT_EQ(layer.compiled.Compile({8, 6, Bias::kPresent}), "");
  const auto y = layer.compiled.Apply(RandomFloats(8, 1));
  for (size_t o = 0; o < 6; ++o) EXPECT_EQ(y[o], layer.compiled.values[4][o]);
}

// Half the width: about half the multiply-adds.
TEST(GblrTest, OnlyWindowsAreMultiplied) {
  Layer layer({256, 1, 256, 256});
  for (int64_t c = 0; c < 256; ++c) {
    for (const int64_t side : {0, 1}) {
      layer.width(side, c) = 0.25f;
      layer.location(side, c) = static_cast<float>(c) / 256;
    }
  }
  ASSERT_EQ(layer.compiled.Compile({256, 256, Bias::kPresent}), "");
  EXPECT_LT(Cost(layer.compiled.plan).multiply_adds, 256 * 256 * 2 * 0.4);
}

TEST(GblrTest, RefusesValuesThatAreNoWindows) {
  const auto compile = [](const auto& damage) {
    Layer layer({4, 1, 8, 6});
    layer.compiled.options.Add("gaussian", true);
    damage(layer);
    return layer.compiled.Compile({8, 6, Bias::kPresent});
  };
  EXPECT_EQ(compile([](Layer&) {}), "");
  EXPECT_THAT(compile([](Layer& l) { l.width(1, 1) = 1.5f; }),
              HasSubstr("fc.widths: element 5 is 1.5"));
  EXPECT_THAT(compile([](Layer& l) { l.width(0, 0) = -0.1f; }), HasSubstr("expected [0, 1]"));
  EXPECT_THAT(compile([](Layer& l) { l.width(0, 0) = NAN; }), HasSubstr("expected [0, 1]"));
  EXPECT_THAT(compile([](Layer& l) { l.location(0, 2) = INFINITY; }),
              HasSubstr("fc.locations: element 2 is not finite"));
  for (const float sigma : {0.0f, -1.0f, NAN, INFINITY}) {
    EXPECT_THAT(compile([&](Layer& l) { l.compiled.values[5][0] = sigma; }),
                HasSubstr("fc.sigma is"));
  }
}

TEST(GblrTest, RefusesOtherShapes) {
  using Shapes = std::vector<std::pair<std::string, Shape>>;
  const Shapes right = {{"lr_weight1", {4, 2, 8}}, {"lr_weight2", {4, 6, 2}}, {"widths", {2, 4}},
                        {"locations", {2, 4}},     {"freq_in", {5}},          {"sigma", {}}};
  const auto compile = [&](size_t index, const Shape& shape) {
    Shapes shapes = right;
    shapes[index].second = shape;
    return CompileShapes("gblr", {8, 6}, shapes);
  };
  EXPECT_EQ(compile(0, {4, 2, 8}), "");
  EXPECT_THAT(compile(0, {4, 2, 7}), HasSubstr("expected [components, rank, 8]"));
  EXPECT_THAT(compile(0, {4, 8}), HasSubstr("expected [components, rank, 8]"));
  EXPECT_THAT(compile(1, {3, 6, 2}), HasSubstr("expected [4, 6, 2]"));
  EXPECT_THAT(compile(1, {4, 6, 1}), HasSubstr("expected [4, 6, 2]"));
  EXPECT_THAT(compile(2, {2, 3}), HasSubstr("fc.widths has shape [2, 3]; expected [2, 4]"));
  EXPECT_THAT(compile(3, {1, 4}), HasSubstr("fc.locations has shape [1, 4]"));
  EXPECT_THAT(compile(4, {4}), HasSubstr("fc.freq_in has shape [4]; expected [5]"));
  EXPECT_THAT(compile(5, {2}), HasSubstr("fc.sigma has shape [2]"));
  for (size_t i = 0; i < 4; ++i) {
    Shapes shapes = right;
    shapes.erase(shapes.begin() + static_cast<int64_t>(i));
    EXPECT_THAT(CompileShapes("gblr", {8, 6}, shapes), HasSubstr(right[i].first + " is missing"));
  }
}

}  // namespace
}  // namespace dyad::kernels
