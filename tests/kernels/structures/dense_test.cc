// y = W x + bias by its formula, and tensors that do not fit.
#include <gmock/gmock.h>

#include "tests/kernels/structures/compiled_layer.h"

namespace dyad::kernels {
namespace {

TEST(DenseTest, IsItsFormula) {
  CompiledLayer layer("dense");
  const std::vector<float>& weight = layer.Add("weight", {5, 3});
  const std::vector<float>& bias = layer.Add("bias", {5});
  ASSERT_EQ(layer.Compile({3, 5, Bias::kPresent}), "");
  EXPECT_EQ(layer.plan.structure, "dense");
  const std::vector<float> x = RandomFloats(2 * 3, 9);
  std::vector<double> expected;
  for (size_t t = 0; t < 2; ++t) {
    for (size_t o = 0; o < 5; ++o) {
      double sum = bias[o];
      for (size_t i = 0; i < 3; ++i) sum += double{weight[o * 3 + i]} * x[t * 3 + i];
      expected.push_back(sum);
    }
  }
  ExpectNear(layer.Apply(x), expected);
}

TEST(DenseTest, RefusesOtherShapes) {
  EXPECT_EQ(CompileShapes("dense", {3, 5}, {{"weight", {5, 3}}}), "");
  EXPECT_EQ(CompileShapes("dense", {3, 5}, {{"weight", {3, 5}}}),
            "file: tensor fc.weight has shape [3, 5]; expected [5, 3]");
  EXPECT_EQ(CompileShapes("dense", {}, {{"weight", {3, 0}}}),
            "file: tensor fc.weight has shape [3, 0]; expected [out, in]");
  EXPECT_EQ(CompileShapes("dense", {3, 5}, {{"bias", {5}}}),
            "file: tensor fc.weight is missing; expected shape [5, 3]");
}

TEST(DenseTest, ItsBiasIsAVector) {
  EXPECT_EQ(CompileShapes("dense", {3, 5, Bias::kPresent}, {{"weight", {5, 3}}}),
            "file: tensor fc.bias is missing; expected shape [5]");
  EXPECT_EQ(CompileShapes("dense", {3, 5}, {{"weight", {5, 3}}, {"bias", {5, 1}}}),
            "file: tensor fc.bias has shape [5, 1]; expected [5]");
}

}  // namespace
}  // namespace dyad::kernels
