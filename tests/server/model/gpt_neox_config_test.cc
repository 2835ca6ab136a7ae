// The switches of GPT-NeoX, in old and new spellings.
#include "server/model/gpt_neox_config.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/server/model/config_keys.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using kernels::Activation;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::StatusIs;

absl::StatusOr<GptNeoxConfig> ParseNeox(const json& keys) {
  JsonFields fields(keys, "config.json");
  const GptNeoxConfig config = ReadGptNeoxConfig(fields);
  if (const absl::Status status = fields.status(); !status.ok()) return status;
  return config;
}

GptNeoxConfig Neox(const json& keys) {
  const auto config = ParseNeox(keys);
  EXPECT_OK(config);
  return config.value_or(GptNeoxConfig());
}

TEST(GptNeoxConfigTest, AbsentKeysHaveTheLibrarysDefaults) {
  const GptNeoxConfig neox = Neox(json::object());
  EXPECT_EQ(neox.hidden_size, 6144);
  EXPECT_EQ(neox.rotary_size, 24);
  EXPECT_EQ(neox.rotary_base, 10000);
  EXPECT_EQ(neox.residual, Residual::kParallel);
  EXPECT_EQ(neox.activation, Activation::kGelu);
  EXPECT_TRUE(neox.attention_bias);
  EXPECT_FALSE(neox.tied_head);
}

TEST(GptNeoxConfigTest, ReadsTheSwitches) {
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

// Of transformers' GPTNeoXConfig.
TEST(GptNeoxConfigTest, EveryKeyIsReadOrIgnored) {
  const json read = {{"vocab_size", 100},
                     {"hidden_size", 12288},
                     {"intermediate_size", 5},
                     {"num_hidden_layers", 3},
                     {"num_attention_heads", 32},
                     {"max_position_embeddings", 9},
                     {"hidden_act", "relu"},
                     {"rotary_pct", 0.5},
                     {"rotary_emb_base", 500},
                     {"layer_norm_eps", 1e-3},
                     {"use_parallel_residual", false},
                     {"attention_bias", false},
                     {"tie_word_embeddings", true},
                     {"rope_parameters", {{"rope_theta", 500}}},
                     {"rope_scaling", {{"partial_rotary_factor", 0.5}}}};
  const json ignored = {
      {"hidden_dropout", 0.5}, {"classifier_dropout", 0.5}, {"initializer_range", 0.5}};
  testing::ExpectEveryKeyIsReadOrIgnored(Neox, read, ignored);
}

// Newer words at the top, beside the older ones: the same numbers, or refused.
TEST(GptNeoxConfigTest, KeysThatContradictEachOtherAreRefused) {
  EXPECT_OK(ParseNeox({{"rope_theta", 10000.0}, {"partial_rotary_factor", 0.25}}));
  EXPECT_OK(ParseNeox({{"rotary_emb_base", 500}, {"rope_theta", 500}}));
  EXPECT_THAT(ParseNeox({{"rope_theta", 500}}),
              StatusIs(kInvalid, HasSubstr("rope_theta is 500, expected 10000")));
  EXPECT_THAT(ParseNeox({{"rotary_pct", 1.0}, {"partial_rotary_factor", 0.25}}),
              StatusIs(kInvalid, HasSubstr("partial_rotary_factor is 0.25, expected 1,")));
  EXPECT_THAT(ParseNeox({{"rope_parameters", {{"rope_theta", 500}}},
                         {"rope_scaling", {{"rope_theta", 600}}}}),
              StatusIs(kInvalid, HasSubstr("expected null beside rope_parameters")));
}

TEST(GptNeoxConfigTest, ReadsRotaryParametersInTheNewSpelling) {
  const GptNeoxConfig c =
      Neox({{"hidden_size", 80},
            {"num_attention_heads", 4},
            {"rope_parameters",
             {{"partial_rotary_factor", 0.5}, {"rope_theta", 5000}, {"rope_type", "default"}}}});
  EXPECT_EQ(c.rotary_size, 10);
  EXPECT_EQ(c.rotary_base, 5000);
  EXPECT_THAT(ParseNeox({{"rope_parameters", {{"rope_type", "yarn"}}}}),
              StatusIs(kInvalid, AllOf(HasSubstr("rope_parameters.rope_type is \"yarn\""),
                                       HasSubstr("expected default"))));
  EXPECT_THAT(ParseNeox({{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}}}),
              StatusIs(kInvalid, HasSubstr("rope_scaling.type is \"linear\"")));
  EXPECT_OK(ParseNeox({{"rope_scaling", nullptr}}));
  EXPECT_THAT(ParseNeox({{"rotary_pct", 0.266}}), StatusIs(kInvalid, HasSubstr("even number")));
}

}  // namespace
}  // namespace dyad
