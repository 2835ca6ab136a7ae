// Keys of both architectures, in old and new spellings, and refusals.
#include "server/model/config.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using kernels::Activation;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<ModelConfig> Parse(const json& config) { return ParseConfig(config.dump()); }

OptConfig Opt(const json& changes) {
  json config = {{"model_type", "opt"}};
  config.merge_patch(changes);
  const auto parsed = Parse(config);
  EXPECT_OK(parsed);
  return parsed.ok() ? std::get<OptConfig>(parsed->network) : OptConfig();
}

GptNeoxConfig Neox(const json& changes) {
  json config = {{"model_type", "gpt_neox"}};
  config.merge_patch(changes);
  const auto parsed = Parse(config);
  EXPECT_OK(parsed);
  return parsed.ok() ? std::get<GptNeoxConfig>(parsed->network) : GptNeoxConfig();
}

TEST(ConfigTest, AbsentKeysHaveTheLibrarysDefaults) {
  const OptConfig opt = Opt(json::object());
  EXPECT_EQ(opt.vocab_size, 50272);
  EXPECT_EQ(opt.hidden_size, 768);
  EXPECT_EQ(opt.embed_size, 768);
  EXPECT_EQ(opt.ffn_size, 3072);
  EXPECT_EQ(opt.activation, Activation::kRelu);
  EXPECT_EQ(opt.norm_order, NormOrder::kBeforeBlock);
  EXPECT_TRUE(opt.linear_bias && opt.norm_affine && opt.final_norm && opt.tied_head);
  const GptNeoxConfig neox = Neox(json::object());
  EXPECT_EQ(neox.hidden_size, 6144);
  EXPECT_EQ(neox.rotary_size, 24);
  EXPECT_EQ(neox.rotary_base, 10000);
  EXPECT_EQ(neox.residual, Residual::kParallel);
  EXPECT_EQ(neox.activation, Activation::kGelu);
  EXPECT_TRUE(neox.attention_bias);
  EXPECT_FALSE(neox.tied_head);
}

TEST(ConfigTest, ReadsTheSwitchesOfOpt) {
  const OptConfig post = Opt({{"do_layer_norm_before", false}, {"word_embed_proj_dim", 512}});
  EXPECT_EQ(post.norm_order, NormOrder::kAfterBlock);
  EXPECT_FALSE(post.final_norm);
  EXPECT_EQ(post.embed_size, 512);
  EXPECT_FALSE(Opt({{"_remove_final_layer_norm", true}}).final_norm);
  EXPECT_FALSE(Opt({{"enable_bias", false}}).linear_bias);
  EXPECT_FALSE(Opt({{"layer_norm_elementwise_affine", false}}).norm_affine);
  EXPECT_FALSE(Opt({{"tie_word_embeddings", false}}).tied_head);
  EXPECT_EQ(Opt({{"word_embed_proj_dim", nullptr}, {"hidden_size", 48}}).embed_size, 48);
}

TEST(ConfigTest, ReadsTheSwitchesOfGptNeox) {
  const json small = {{"hidden_size", 72}, {"num_attention_heads", 4}};
  json serial = small;
  serial.update({{"use_parallel_residual", false},
                 {"attention_bias", false},
                 {"tie_word_embeddings", true},
                 {"layer_norm_eps", 1e-4},
                 {"rotary_pct", 1.0}});
  const GptNeoxConfig c = Neox(serial);
  EXPECT_EQ(c.residual, Residual::kSerial);
  EXPECT_FALSE(c.attention_bias);
  EXPECT_TRUE(c.tied_head);
  EXPECT_EQ(c.norm_epsilon, 1e-4f);
  EXPECT_EQ(c.rotary_size, 18);
  EXPECT_EQ(Neox(small).rotary_size, 4);  // int(0.25 · 18)
}

TEST(ConfigTest, ReadsRotaryParametersInTheNewSpelling) {
  const GptNeoxConfig c =
      Neox({{"hidden_size", 80},
            {"num_attention_heads", 4},
            {"rope_parameters",
             {{"partial_rotary_factor", 0.5}, {"rope_theta", 5000}, {"rope_type", "default"}}}});
  EXPECT_EQ(c.rotary_size, 10);
  EXPECT_EQ(c.rotary_base, 5000);
  EXPECT_THAT(Parse({{"model_type", "gpt_neox"}, {"rope_parameters", {{"rope_type", "yarn"}}}}),
              StatusIs(kInvalid, AllOf(HasSubstr("rope_parameters.rope_type is \"yarn\""),
                                       HasSubstr("expected default"))));
  EXPECT_THAT(
      Parse({{"model_type", "gpt_neox"}, {"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}}}),
      StatusIs(kInvalid, HasSubstr("rope_scaling.type is \"linear\"")));
  EXPECT_OK(Parse({{"model_type", "gpt_neox"}, {"rope_scaling", nullptr}}));
  EXPECT_THAT(Parse({{"model_type", "gpt_neox"}, {"rotary_pct", 0.266}}),
              StatusIs(kInvalid, HasSubstr("even number")));
}

TEST(ConfigTest, KnowsTheActivationsByTheirNames) {
  EXPECT_EQ(Opt({{"activation_function", "gelu"}}).activation, Activation::kGelu);
  for (const char* name : {"gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_accurate"}) {
    EXPECT_EQ(Neox({{"hidden_act", name}}).activation, Activation::kGeluTanh) << name;
  }
  EXPECT_EQ(Neox({{"hidden_act", "relu"}}).activation, Activation::kRelu);
  EXPECT_THAT(Parse({{"model_type", "opt"}, {"activation_function", "swish"}}),
              StatusIs(kInvalid, AllOf(HasSubstr("activation_function is \"swish\""),
                                       HasSubstr("expected relu, gelu"))));
}

TEST(ConfigTest, TokenIdsAreInTheVocabulary) {
  const auto parse = [](const json& eos) {
    return Parse({{"model_type", "opt"}, {"vocab_size", 100}, {"eos_token_id", eos}});
  };
  EXPECT_EQ(parse(99)->eos_id, 99);
  EXPECT_EQ(parse(99)->bos_id, 2);  // default
  EXPECT_EQ(parse(json::array({5, 6}))->eos_id, 5);
  EXPECT_EQ(parse(nullptr)->eos_id, std::nullopt);
  EXPECT_EQ(parse(json::array())->eos_id, std::nullopt);
  for (const json& bad : {json(100), json(-1), json("2"), json(json::array({100}))}) {
    EXPECT_THAT(parse(bad), StatusIs(kInvalid, HasSubstr("eos_token_id"))) << bad;
  }
  EXPECT_EQ(Parse({{"model_type", "opt"}, {"vocab_size", 1}})->bos_id, std::nullopt);
}

TEST(ConfigTest, DyadDimIsKeptForTheTensors) {
  EXPECT_EQ(Parse({{"model_type", "sparse_opt"}, {"dyad_dim", 4}})->dyad_dim, 4);
  EXPECT_EQ(Parse({{"model_type", "sparse_gpt_neox"}})->dyad_dim, std::nullopt);
  EXPECT_THAT(Parse({{"model_type", "sparse_opt"}, {"dyad_dim", 0}}),
              StatusIs(kInvalid, HasSubstr("dyad_dim is 0")));
}

TEST(ConfigTest, RefusesWhatItCannotServe) {
  EXPECT_THAT(Parse({{"model_type", "mamba"}}), StatusIs(kInvalid, HasSubstr("mamba")));
  EXPECT_THAT(Parse(json::object()), StatusIs(kInvalid, HasSubstr("model_type is missing")));
  EXPECT_THAT(Parse({{"model_type", 3}}), StatusIs(kInvalid, HasSubstr("model_type is 3")));
  EXPECT_THAT(Parse({{"model_type", "opt"}, {"quantization_config", {{"bits", 4}}}}),
              StatusIs(kInvalid, HasSubstr("quantization_config")));
  EXPECT_THAT(Parse({{"model_type", "opt"}, {"num_attention_heads", 5}}),
              StatusIs(kInvalid, HasSubstr("divisor of hidden_size 768")));
  EXPECT_THAT(Parse({{"model_type", "opt"}, {"vocab_size", 1000000000000}}),
              StatusIs(kInvalid, HasSubstr("vocab_size is 1000000000000")));
  EXPECT_THAT(Parse({{"model_type", "opt"}, {"structured_linear", 3}}),
              StatusIs(kInvalid, HasSubstr("structured_linear is 3")));
}

TEST(ReadConfigTest, TellsWhatIsMissing) {
  EXPECT_OK(ReadConfig(testing::DemoModelDir()));
  EXPECT_THAT(ReadConfig("/no/such/folder"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no such folder")));
  testing::ScratchFolder folder;
  EXPECT_THAT(ReadConfig(folder.path()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("config.json")));
  folder.Write("config.json", std::string((16 << 20) + 1, ' '));
  EXPECT_THAT(ReadConfig(folder.path()), StatusIs(kInvalid, HasSubstr("at most")));
}

}  // namespace
}  // namespace dyad
