// Published parameter counts, and the switches that no golden fixture has. (The golden values are
// in load_model_test.cc.)
#include "server/model/opt.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/norm.h"
#include "tests/server/model/loading.h"
#include "tests/server/model/random_network.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using testing::FakeCheckpoint;
using testing::Fill;
using ::testing::HasSubstr;
using testing::HiddenStates;
using testing::Loading;
using testing::NetworkFiller;
using testing::SmallOpt;

const std::vector<int32_t> kOptIds = {2, 7, 1, 8, 2, 8, 49, 0, 45, 9,
                                      0, 4, 5, 2, 3, 5, 3,  6, 0,  28};

int64_t Parameters(const OptConfig& config, int64_t blocks) {
  FakeCheckpoint checkpoint;
  NetworkFiller{.checkpoint = checkpoint, .fill = Fill::kShapes, .blocks = blocks}.Opt(config);
  Loading loading(checkpoint, LoadPass::kCheck);
  EXPECT_OK(LoadOpt(config, loading.context));
  EXPECT_OK(loading.tensors.RefuseTheRest());
  FakeCheckpoint dense;
  NetworkFiller{.checkpoint = dense, .fill = Fill::kShapes}.Opt(config);
  Loading same(dense, LoadPass::kCheck);
  EXPECT_OK(LoadOpt(config, same.context));
  EXPECT_EQ(loading.context.tally.dense_equivalent_parameters, same.context.tally.parameters);
  return loading.context.tally.parameters;
}

// What is said to be needed before anything is loaded.
TEST(OptTest, PreparesWhatTheConfigSays) {
  testing::CountingDevice device;
  FakeCheckpoint checkpoint;
  NetworkFiller{.checkpoint = checkpoint}.Opt(SmallOpt());
  Loading loading(checkpoint, device);
  const auto network = LoadOpt(SmallOpt(), loading.context);
  ASSERT_OK(network);
  (*network)->Prepare(device, 7);
  EXPECT_EQ(device.floats, 7 * SmallOpt().activation_columns());
}

TEST(OptTest, CountsTheParametersOfThePublishedModels) {
  OptConfig opt_125m;
  EXPECT_EQ(Parameters(opt_125m, 1), 125'239'296);
  EXPECT_EQ(Parameters(opt_125m, 4), 96'927'744);
  EXPECT_EQ(Parameters(opt_125m, 8), 82'771'968);
  OptConfig opt_350m;
  opt_350m.hidden_size = 1024, opt_350m.ffn_size = 4096, opt_350m.layers = 24, opt_350m.heads = 16;
  opt_350m.embed_size = 512;
  opt_350m.norm_order = NormOrder::kAfter, opt_350m.final_norm = false;
  EXPECT_EQ(Parameters(opt_350m, 1), 331'196'416);
  EXPECT_EQ(Parameters(opt_350m, 4), 230'533'120);
  EXPECT_EQ(Parameters(opt_350m, 8), 180'201'472);
}

std::vector<float> Hidden(const OptConfig& config, const FakeCheckpoint& checkpoint) {
  Loading loading(checkpoint);
  const auto network = LoadOpt(config, loading.context);
  EXPECT_OK(network);
  EXPECT_OK(loading.tensors.RefuseTheRest());
  return network.ok() ? HiddenStates(**network, kOptIds, *loading.device) : std::vector<float>();
}

TEST(OptTest, WithoutAffineTheNormsHaveWeightOneAndBiasZero) {
  OptConfig config = SmallOpt();
  config.norm_affine = false;
  FakeCheckpoint plain, affine;
  NetworkFiller{.checkpoint = plain}.Opt(config);
  NetworkFiller{.checkpoint = affine}.Opt(config);
  for (const char* path :
       {"layers.0.self_attn_layer_norm", "layers.0.final_layer_norm",
        "layers.1.self_attn_layer_norm", "layers.1.final_layer_norm", "final_layer_norm"}) {
    const std::string name = std::string("model.decoder.") + path;
    affine.Add(name + ".weight", {24}, std::vector<float>(24, 1.0f));
    affine.Add(name + ".bias", {24}, std::vector<float>(24, 0.0f));
  }
  const std::vector<float> expected = Hidden(config, plain);
  config.norm_affine = true;
  EXPECT_EQ(Hidden(config, affine), expected);
}

TEST(OptTest, TheFinalNormMayBeRemoved) {
  OptConfig config = SmallOpt();
  FakeCheckpoint with, without;
  NetworkFiller{.checkpoint = with}.Opt(config);
  const std::vector<float> normed = Hidden(config, with);
  config.final_norm = false;
  NetworkFiller{.checkpoint = without}.Opt(config);
  const std::vector<float> raw = Hidden(config, without);
  ASSERT_EQ(raw.size(), normed.size());

  Loading loading(with);
  const auto norm = LoadNorm(loading.context, "model.decoder.final_layer_norm", {.features = 24});
  ASSERT_OK(norm);
  const kernels::Matrix x = loading.device->Allocate(std::ssize(kOptIds), 24);
  loading.device->Write(x, raw);
  loading.device->Normalize(**norm, x, x);
  EXPECT_EQ(loading.device->Read(x), normed);
}

TEST(OptTest, WithoutBiasesIsWithBiasesOfZero) {
  OptConfig config = SmallOpt();
  config.linear_bias = false;
  FakeCheckpoint without, zeros;
  NetworkFiller{.checkpoint = without, .blocks = 4}.Opt(config);
  NetworkFiller{.checkpoint = zeros, .blocks = 4}.Opt(config);
  for (int i = 0; i < 2; ++i) {
    const std::string layer = "model.decoder.layers." + std::to_string(i) + ".";
    for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      zeros.Add(layer + "self_attn." + name + ".bias", {24}, std::vector<float>(24));
    }
    zeros.Add(layer + "fc1.bias", {40, 1}, std::vector<float>(40));
    zeros.Add(layer + "fc2.bias", {24, 1}, std::vector<float>(24));
  }
  const std::vector<float> expected = Hidden(config, without);
  config.linear_bias = true;
  EXPECT_EQ(Hidden(config, zeros), expected);
}

TEST(OptTest, EverySwitchChangesTheResult) {
  const auto run = [](const OptConfig& config) {
    FakeCheckpoint checkpoint;
    NetworkFiller{.checkpoint = checkpoint}.Opt(config);
    return Hidden(config, checkpoint);
  };
  const OptConfig base = SmallOpt();
  OptConfig gelu = base, post = base;
  gelu.activation = kernels::Activation::kGelu;
  post.norm_order = NormOrder::kAfter;
  EXPECT_NE(run(gelu), run(base));
  EXPECT_NE(run(post), run(base));
  EXPECT_EQ(run(base), run(base));
}

TEST(OptTest, AnUntiedHeadIsItsOwnTensor) {
  OptConfig config = SmallOpt();
  config.tied_head = false;
  FakeCheckpoint checkpoint;
  NetworkFiller{.checkpoint = checkpoint, .fill = Fill::kShapes}.Opt(config);
  Loading loading(checkpoint, LoadPass::kCheck);
  ASSERT_OK(LoadOpt(config, loading.context));
  EXPECT_OK(loading.tensors.RefuseTheRest());
  FakeCheckpoint tied;
  NetworkFiller{.checkpoint = tied, .fill = Fill::kShapes}.Opt(SmallOpt());
  Loading missing(tied, LoadPass::kCheck);
  EXPECT_THAT(LoadOpt(config, missing.context),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("lm_head.weight is missing")));
}

TEST(OptTest, TheOldVersionNumberIsIgnored) {
  FakeCheckpoint checkpoint;
  NetworkFiller{.checkpoint = checkpoint, .fill = Fill::kShapes}.Opt(SmallOpt());
  checkpoint.AddShape("decoder.version", {1});
  Loading loading(checkpoint, LoadPass::kCheck);
  ASSERT_OK(LoadOpt(SmallOpt(), loading.context));
  EXPECT_OK(loading.tensors.RefuseTheRest());
}

}  // namespace
}  // namespace dyad
