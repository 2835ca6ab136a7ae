// BLAST by its formula, with D in both orders, and tensors that do not fit.
#include <gmock/gmock.h>

#include "tests/kernels/structures/compiled_layer.h"

namespace dyad::kernels {
namespace {

using ::testing::HasSubstr;

struct Sizes {
  size_t b1, p, b2, q, r;
};

// d(i, j, k): element of D.
template <typename D>
std::vector<double> Formula(const Sizes& s, const std::vector<float>& b,
                            const std::vector<float>& c, const D& d, const std::vector<float>& bias,
                            const std::vector<float>& x) {
  std::vector<double> y(bias.begin(), bias.end());
  for (size_t i = 0; i < s.b1; ++i) {
    for (size_t j = 0; j < s.b2; ++j) {
      for (size_t k = 0; k < s.r; ++k) {
        double h = 0;
        for (size_t a = 0; a < s.q; ++a) h += double{c[(j * s.r + k) * s.q + a]} * x[j * s.q + a];
        for (size_t o = 0; o < s.p; ++o) {
          y[i * s.p + o] += b[(i * s.p + o) * s.r + k] * double{d(i, j, k)} * h;
        }
      }
    }
  }
  return y;
}

TEST(BlastTest, IsItsFormulaWithDInBothOrders) {
  const Sizes s = {3, 4, 2, 5, 7};
  for (const bool decomposed : {false, true}) {
    CompiledLayer layer("blast");
    const std::vector<float>& b = layer.Add("B", {3, 4, 7});
    const std::vector<float>& c = layer.Add("C", {2, 7, 5});
    const std::vector<float>& d = layer.Add("D", decomposed ? Shape{7, 3, 2} : Shape{3, 2, 7});
    const std::vector<float>& bias = layer.Add("bias", {12});
    ASSERT_EQ(layer.Compile({10, 12, Bias::kPresent}), "");
    EXPECT_EQ(layer.plan.structure, "blast 3x2 rank 7");
    EXPECT_EQ(Cost(layer.plan).parameters, 7 * (10 + 12 + 6));
    const std::vector<float> x = RandomFloats(10, 9);
    const auto at = [&](size_t i, size_t j, size_t k) {
      return decomposed ? d[(k * 3 + i) * 2 + j] : d[(i * 2 + j) * 7 + k];
    };
    ExpectNear(layer.Apply(x), Formula(s, b, c, at, bias, x));
  }
}

TEST(BlastTest, RefusesOtherShapes) {
  const auto compile = [](const Shape& b, const Shape& c, const Shape& d) {
    return CompileShapes("blast", {10, 12}, {{"B", b}, {"C", c}, {"D", d}});
  };
  EXPECT_EQ(compile({3, 4, 7}, {2, 7, 5}, {3, 2, 7}), "");
  EXPECT_EQ(compile({3, 5, 7}, {2, 7, 5}, {3, 2, 7}),
            "file: tensor fc.B has shape [3, 5, 7]; expected [b1, 12/b1, rank]");
  EXPECT_EQ(compile({3, 4, 7}, {3, 7, 3}, {3, 3, 7}),
            "file: tensor fc.C has shape [3, 7, 3]; expected [b2, 7, 10/b2]");
  EXPECT_THAT(compile({3, 4, 7}, {2, 6, 5}, {3, 2, 7}), HasSubstr("expected [b2, 7, 10/b2]"));
  EXPECT_EQ(compile({3, 4, 7}, {2, 7, 5}, {2, 3, 7}),
            "file: tensor fc.D has shape [2, 3, 7]; expected [3, 2, 7] or [7, 3, 2]");
  EXPECT_THAT(compile({3, 4, 0}, {2, 0, 5}, {3, 2, 0}), HasSubstr("fc.B has shape [3, 4, 0]"));
  EXPECT_THAT(CompileShapes("blast", {10, 12}, {{"B", {3, 4, 7}}, {"C", {2, 7, 5}}}),
              HasSubstr("fc.D is missing; expected shape [3, 2, 7]"));
  EXPECT_THAT(CompileShapes("blast", {10, 12}, {{"D", {3, 2, 7}}}), HasSubstr("fc.B is missing"));
  EXPECT_THAT(CompileShapes("blast", {10, 12}, {{"B", {3, 4, 7}}}), HasSubstr("fc.C is missing"));
}

TEST(BlastTest, ScratchIsBounded) {
  EXPECT_THAT(CompileShapes("blast", {1024, 1024},
                            {{"B", {512, 2, 512}}, {"C", {512, 512, 2}}, {"D", {512, 512, 512}}}),
              HasSubstr("the plan's scratch is 524288; expected [0, 262144]"));
}

}  // namespace
}  // namespace dyad::kernels
