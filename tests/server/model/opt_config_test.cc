// The switches of OPT, and what stands where a key is absent.
#include "server/model/opt_config.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/server/model/config_keys.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using kernels::Activation;
using nlohmann::json;
using ::testing::HasSubstr;
using testing::StatusIs;

absl::StatusOr<OptConfig> ParseOpt(const json& keys) {
  JsonFields fields(keys, "config.json");
  const OptConfig config = ReadOptConfig(fields);
  if (const absl::Status status = fields.status(); !status.ok()) return status;
  return config;
}

OptConfig Opt(const json& keys) {
  const auto config = ParseOpt(keys);
  EXPECT_OK(config);
  return config.value_or(OptConfig());
}

TEST(OptConfigTest, AbsentKeysHaveTheLibrarysDefaults) {
  const OptConfig opt = Opt(json::object());
  EXPECT_EQ(opt.vocab_size, 50272);
  EXPECT_EQ(opt.hidden_size, 768);
  EXPECT_EQ(opt.embed_size, 768);
  EXPECT_EQ(opt.ffn_size, 3072);
  EXPECT_EQ(opt.activation, Activation::kRelu);
  EXPECT_EQ(opt.norm_order, NormOrder::kBefore);
  EXPECT_TRUE(opt.linear_bias && opt.norm_affine && opt.final_norm && opt.tied_head);
}

TEST(OptConfigTest, ReadsTheSwitches) {
  const OptConfig post = Opt({{"do_layer_norm_before", false}, {"word_embed_proj_dim", 512}});
  EXPECT_EQ(post.norm_order, NormOrder::kAfter);
  EXPECT_FALSE(post.final_norm);
  EXPECT_EQ(post.embed_size, 512);
  EXPECT_FALSE(Opt({{"_remove_final_layer_norm", true}}).final_norm);
  EXPECT_FALSE(Opt({{"enable_bias", false}}).linear_bias);
  EXPECT_FALSE(Opt({{"layer_norm_elementwise_affine", false}}).norm_affine);
  EXPECT_FALSE(Opt({{"tie_word_embeddings", false}}).tied_head);
  EXPECT_EQ(Opt({{"word_embed_proj_dim", nullptr}, {"hidden_size", 48}}).embed_size, 48);
}

TEST(OptConfigTest, ReadsItsOwnKeyOfTheActivation) {
  EXPECT_EQ(Opt({{"activation_function", "gelu"}}).activation, Activation::kGelu);
  EXPECT_EQ(Opt({{"hidden_act", "gelu"}}).activation, Activation::kRelu);
}

// Of transformers' OPTConfig.
TEST(OptConfigTest, EveryKeyIsReadOrIgnored) {
  const json read = {{"vocab_size", 100},
                     {"hidden_size", 1536},
                     {"ffn_dim", 5},
                     {"num_hidden_layers", 3},
                     {"num_attention_heads", 6},
                     {"max_position_embeddings", 9},
                     {"word_embed_proj_dim", 512},
                     {"activation_function", "gelu"},
                     {"do_layer_norm_before", false},
                     {"_remove_final_layer_norm", true},
                     {"enable_bias", false},
                     {"layer_norm_elementwise_affine", false},
                     {"tie_word_embeddings", false}};
  const json ignored = {{"dropout", 0.5},
                        {"activation_dropout", 0.5},
                        {"layerdrop", 0.5},
                        {"init_std", 0.5},
                        {"prefix", "</s>"}};
  testing::ExpectEveryKeyIsReadOrIgnored(Opt, read, ignored);
}

TEST(OptConfigTest, RefusesSizesThatDoNotFit) {
  EXPECT_THAT(ParseOpt({{"num_attention_heads", 5}}),
              StatusIs(kInvalid, HasSubstr("divisor of hidden_size 768")));
  EXPECT_THAT(ParseOpt({{"vocab_size", 1000000000000}}),
              StatusIs(kInvalid, HasSubstr("vocab_size is 1000000000000")));
}

}  // namespace
}  // namespace dyad
