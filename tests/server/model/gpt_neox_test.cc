// Published parameter counts, and the switches that no golden fixture has. (The golden values are
// in load_model_test.cc.)
#include "server/model/gpt_neox.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
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
using testing::SmallGptNeox;

const std::vector<int32_t> kNeoxIds = {2, 7, 1, 8, 2, 8, 49, 0, 45, 9,
                                       0, 4, 5, 2, 3, 5, 3,  6, 0,  28};

absl::Status Load(const GptNeoxConfig& config, Loading& loading) {
  const absl::Status status = LoadGptNeox(config, loading.context).status();
  return status.ok() ? loading.tensors.RefuseTheRest() : status;
}

std::vector<float> Hidden(const GptNeoxConfig& config, const FakeCheckpoint& checkpoint) {
  Loading loading(checkpoint);
  const auto network = LoadGptNeox(config, loading.context);
  EXPECT_OK(network);
  EXPECT_OK(loading.tensors.RefuseTheRest());
  return network.ok() ? HiddenStates(**network, kNeoxIds, *loading.device) : std::vector<float>();
}

// What is said to be needed before anything is loaded.
TEST(GptNeoxTest, PreparesWhatTheConfigSays) {
  testing::CountingDevice device;
  FakeCheckpoint checkpoint;
  NetworkFiller{.checkpoint = checkpoint}.GptNeox(SmallGptNeox());
  Loading loading(checkpoint, device);
  const auto network = LoadGptNeox(SmallGptNeox(), loading.context);
  ASSERT_OK(network);
  (*network)->Prepare(device, 7);
  EXPECT_EQ(device.floats, 7 * SmallGptNeox().activation_columns());
}

TEST(GptNeoxTest, CountsTheParametersOfPythia) {
  GptNeoxConfig pythia;
  pythia.vocab_size = 50304, pythia.hidden_size = 768, pythia.ffn_size = 3072, pythia.layers = 12;
  pythia.heads = 12;
  const auto count = [&](int64_t blocks) {
    FakeCheckpoint checkpoint;
    NetworkFiller{.checkpoint = checkpoint, .fill = Fill::kShapes, .blocks = blocks}.GptNeox(
        pythia);
    Loading loading(checkpoint, LoadPass::kCheck);
    EXPECT_OK(Load(pythia, loading));
    return loading.context.tally.parameters;
  };
  EXPECT_EQ(count(1), 162'322'944);
  EXPECT_EQ(count(4), 134'011'392);
  EXPECT_EQ(count(8), 119'855'616);
}

TEST(GptNeoxTest, WithoutAttentionBiasesIsWithBiasesOfZero) {
  GptNeoxConfig config = SmallGptNeox();
  config.attention_bias = false;
  FakeCheckpoint without, zeros;
  NetworkFiller{.checkpoint = without}.GptNeox(config);
  NetworkFiller{.checkpoint = zeros}.GptNeox(config);
  for (int i = 0; i < 2; ++i) {
    const std::string layer = "gpt_neox.layers." + std::to_string(i) + ".attention.";
    zeros.Add(layer + "query_key_value.bias", {72}, std::vector<float>(72));
    zeros.Add(layer + "dense.bias", {24}, std::vector<float>(24));
  }
  const std::vector<float> expected = Hidden(config, without);
  config.attention_bias = true;
  EXPECT_EQ(Hidden(config, zeros), expected);
}

TEST(GptNeoxTest, EverySwitchChangesTheResult) {
  const auto run = [](const GptNeoxConfig& config) {
    FakeCheckpoint checkpoint;
    NetworkFiller{.checkpoint = checkpoint}.GptNeox(config);
    return Hidden(config, checkpoint);
  };
  const GptNeoxConfig base = SmallGptNeox();
  GptNeoxConfig serial = base, unrotated = base, other_base = base, epsilon = base, tanh = base;
  serial.residual = Residual::kSerial;
  unrotated.rotary_size = 0;
  other_base.rotary_base = 100;
  epsilon.norm_epsilon = 0.5f;
  tanh.activation = kernels::Activation::kGeluTanh;
  const std::vector<float> expected = run(base);
  for (const GptNeoxConfig& changed : {serial, unrotated, other_base, epsilon, tanh}) {
    EXPECT_NE(run(changed), expected);
  }
  EXPECT_EQ(run(base), expected);
}

TEST(GptNeoxTest, ATiedHeadNeedsNoTensor) {
  GptNeoxConfig config = SmallGptNeox();
  config.tied_head = true;
  FakeCheckpoint tied;
  NetworkFiller{.checkpoint = tied, .fill = Fill::kShapes}.GptNeox(config);
  Loading loading(tied, LoadPass::kCheck);
  EXPECT_OK(Load(config, loading));
  config.tied_head = false;
  Loading missing(tied, LoadPass::kCheck);
  EXPECT_THAT(Load(config, missing), testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                                       HasSubstr("embed_out.weight is missing")));
}

TEST(GptNeoxTest, OldBuffersAreIgnoredInLayersThatExist) {
  FakeCheckpoint checkpoint;
  NetworkFiller{.checkpoint = checkpoint, .fill = Fill::kShapes}.GptNeox(SmallGptNeox());
  for (const char* name :
       {"attention.bias", "attention.masked_bias", "attention.rotary_emb.inv_freq"}) {
    checkpoint.AddShape(std::string("gpt_neox.layers.1.") + name, {1}, StoredType::kUint8);
  }
  checkpoint.AddShape("gpt_neox.rotary_emb.inv_freq", {2});
  {
    Loading loading(checkpoint, LoadPass::kCheck);
    EXPECT_OK(Load(SmallGptNeox(), loading));
  }
  checkpoint.AddShape("gpt_neox.layers.2.attention.bias", {1}, StoredType::kUint8);
  Loading loading(checkpoint, LoadPass::kCheck);
  EXPECT_THAT(Load(SmallGptNeox(), loading),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("gpt_neox.layers.2.attention.bias")));
}

}  // namespace
}  // namespace dyad
