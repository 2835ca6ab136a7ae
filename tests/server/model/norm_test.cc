// LayerNorms from tensors to a device. What they compute is tests/kernels/cpu/norm_test.cc's.
#include "server/model/norm.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/model/loading.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using testing::FakeCheckpoint;
using ::testing::HasSubstr;
using testing::Loading;

TEST(LoadNormTest, TakesWeightAndBias) {
  FakeCheckpoint checkpoint;
  checkpoint.Add("model.norm.weight", {2}, {2.0f, 3.0f});
  checkpoint.Add("model.norm.bias", {2}, {1.0f, -1.0f});
  Loading loading(checkpoint);
  const auto norm = LoadNorm(loading.context, "model.norm", {.features = 2});
  ASSERT_OK(norm);
  EXPECT_EQ(loading.context.tally.parameters, 4);
  EXPECT_EQ(loading.context.tally.weight_bytes, 16);
  EXPECT_OK(loading.tensors.RefuseTheRest());
  const kernels::Matrix x = loading.device->Allocate(1, 2);
  loading.device->Write(x, std::vector<float>{10, -10});
  loading.device->Normalize(**norm, x, x);
  const std::vector<float> y = loading.device->Read(x);
  EXPECT_NEAR(y[0], 3, 1e-5);
  EXPECT_NEAR(y[1], -4, 1e-5);
}

TEST(LoadNormTest, RefusesOtherShapesAndTakesNothingWithoutAffine) {
  FakeCheckpoint checkpoint;
  checkpoint.AddShape("model.norm.weight", {2});
  Loading loading(checkpoint, LoadPass::kCheck);
  EXPECT_OK(LoadNorm(loading.context, "model.norm", {.features = 2, .affine = Affine::kNone}));
  EXPECT_EQ(loading.context.tally.parameters, 0);
  const auto code = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(LoadNorm(loading.context, "model.norm", {.features = 3}),
              testing::StatusIs(code, HasSubstr("model.norm.weight has shape [2]; expected [3]")));
  EXPECT_THAT(LoadNorm(loading.context, "model.norm", {.features = 2}),
              testing::StatusIs(code, HasSubstr("model.norm.bias is missing")));
}

}  // namespace
}  // namespace dyad
