// Against double, at awkward widths, and with equal bits in any batch.
#include "server/model/layer_norm.h"

#include <cmath>
#include <random>
#include <vector>

#include "ATen/core/Tensor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/tensor_rows.h"
#include "tests/server/model/empty_rows.h"
#include "tests/server/model/loading.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using testing::FakeCheckpoint;
using ::testing::HasSubstr;
using testing::Loading;

at::Tensor RandomRows(int64_t rows, int64_t features, uint32_t seed) {
  const at::Tensor x = testing::EmptyRows(rows, features);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(3.0f, 2.0f);
  for (int64_t i = 0; i < x.numel(); ++i) x.data_ptr<float>()[i] = normal(random);
  return x;
}

std::vector<float> Values(const at::Tensor& x) {
  const at::Tensor dense = x.contiguous();
  return {dense.data_ptr<float>(), dense.data_ptr<float>() + dense.numel()};
}

TEST(LayerNormTest, MatchesDoubleAtAwkwardWidths) {
  kernels::ThreadPool pool(2);
  for (const int64_t features : {1, 15, 16, 17, 31, 68, 768}) {
    const at::Tensor x = RandomRows(5, features, 1);
    const at::Tensor y = testing::EmptyRows(5, features);
    std::vector<float> weight, bias;
    for (int64_t i = 0; i < features; ++i) {
      weight.push_back(1.0f + 0.25f * static_cast<float>(i % 5));
      bias.push_back(0.5f * static_cast<float>(i % 3));
    }
    LayerNorm(weight, bias, 1e-5f).Apply(x, y, pool);
    for (int64_t row = 0; row < 5; ++row) {
      const float* in = x.data_ptr<float>() + row * features;
      double mean = 0, variance = 0;
      for (int64_t i = 0; i < features; ++i) mean += in[i] / static_cast<double>(features);
      for (int64_t i = 0; i < features; ++i) {
        variance += (in[i] - mean) * (in[i] - mean) / static_cast<double>(features);
      }
      for (int64_t i = 0; i < features; ++i) {
        const double expected = (in[i] - mean) / std::sqrt(variance + 1e-5) * weight[i] + bias[i];
        ASSERT_NEAR(y.data_ptr<float>()[row * features + i], expected, 1e-5) << features;
      }
    }
  }
}

TEST(LayerNormTest, WithoutWeightIsWeightOneAndBiasZero) {
  kernels::ThreadPool pool(1);
  const at::Tensor x = RandomRows(3, 20, 2);
  const at::Tensor plain = testing::EmptyRows(3, 20), affine = testing::EmptyRows(3, 20);
  LayerNorm({}, {}, 1e-5f).Apply(x, plain, pool);
  LayerNorm(std::vector<float>(20, 1.0f), std::vector<float>(20, 0.0f), 1e-5f)
      .Apply(x, affine, pool);
  EXPECT_EQ(Values(plain), Values(affine));
}

TEST(LayerNormTest, BitsOfARowDependOnTheRowAlone) {
  kernels::ThreadPool one(1), two(2);
  const at::Tensor x = RandomRows(67, 76, 3);
  const at::Tensor together = testing::EmptyRows(67, 76), alone = testing::EmptyRows(1, 76);
  const LayerNorm norm({}, {}, 1e-5f);
  norm.Apply(x, together, two);
  for (int64_t row = 0; row < 67; ++row) {
    norm.Apply(x.narrow(0, row, 1), alone, one);
    ASSERT_EQ(Values(alone), Values(together.narrow(0, row, 1))) << row;
  }
  norm.Apply(x, x, two);  // in place
  EXPECT_EQ(Values(x), Values(together));
}

TEST(LayerNormTest, ConstantRowsStayFinite) {
  kernels::ThreadPool pool(1);
  const at::Tensor x = testing::EmptyRows(1, 8);
  x.fill_(7.0f);
  LayerNorm({}, {}, 1e-5f).Apply(x, x, pool);
  EXPECT_EQ(Values(x), std::vector<float>(8, 0.0f));
}

TEST(LoadLayerNormTest, TakesWeightAndBias) {
  FakeCheckpoint checkpoint;
  checkpoint.Add("model.norm.weight", {2}, {2.0f, 3.0f});
  checkpoint.Add("model.norm.bias", {2}, {1.0f, -1.0f});
  Loading loading(checkpoint);
  const auto norm = LoadLayerNorm(loading.context, "model.norm", 2, 1e-5f, Affine::kPresent);
  ASSERT_OK(norm);
  EXPECT_EQ(loading.context.tally.parameters, 4);
  EXPECT_EQ(loading.context.tally.weight_bytes, 16);
  EXPECT_OK(loading.tensors.RefuseTheRest());
  const at::Tensor x = testing::EmptyRows(1, 2);
  x.data_ptr<float>()[0] = 10;
  x.data_ptr<float>()[1] = -10;
  norm->Apply(x, x, loading.pool);
  EXPECT_NEAR(x.data_ptr<float>()[0], 3, 1e-5);
  EXPECT_NEAR(x.data_ptr<float>()[1], -4, 1e-5);
}

TEST(LoadLayerNormTest, RefusesOtherShapesAndTakesNothingWithoutAffine) {
  FakeCheckpoint checkpoint;
  checkpoint.AddShape("model.norm.weight", {2});
  Loading loading(checkpoint, LoadPass::kCheck);
  EXPECT_OK(LoadLayerNorm(loading.context, "model.norm", 2, 1e-5f, Affine::kNone));
  EXPECT_EQ(loading.context.tally.parameters, 0);
  const auto code = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(LoadLayerNorm(loading.context, "model.norm", 3, 1e-5f, Affine::kPresent),
              testing::StatusIs(code, HasSubstr("model.norm.weight has shape [2]; expected [3]")));
  EXPECT_THAT(LoadLayerNorm(loading.context, "model.norm", 2, 1e-5f, Affine::kPresent),
              testing::StatusIs(code, HasSubstr("model.norm.bias is missing")));
}

}  // namespace
}  // namespace dyad
