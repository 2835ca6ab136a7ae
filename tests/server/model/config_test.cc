// Keys that all architectures have, and refusals.
#include "server/model/config.h"

#include <any>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/model/gpt_neox_config.h"
#include "server/model/opt_config.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<ModelConfig> Parse(const json& config) { return ParseConfig(config.dump()); }

TEST(ConfigTest, ModelTypeChoosesTheArchitecture) {
  for (const char* type : {"opt", "sparse_opt"}) {
    const auto config = Parse({{"model_type", type}, {"activation_function", "gelu"}});
    ASSERT_OK(config);
    EXPECT_EQ(config->architecture->name, "opt");
    EXPECT_EQ(config->network.vocab_size, 50272);
    EXPECT_EQ(std::any_cast<OptConfig>(config->network.own).activation, kernels::Activation::kGelu);
  }
  for (const char* type : {"gpt_neox", "sparse_gpt_neox"}) {
    const auto config = Parse({{"model_type", type}, {"hidden_act", "relu"}});
    ASSERT_OK(config);
    EXPECT_EQ(config->architecture->name, "gpt_neox");
    EXPECT_EQ(config->network.vocab_size, 50432);
    EXPECT_EQ(std::any_cast<GptNeoxConfig>(config->network.own).activation,
              kernels::Activation::kRelu);
  }
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
  EXPECT_EQ(Parse({{"model_type", "gpt_neox"}})->bos_id, 0);
  EXPECT_EQ(Parse({{"model_type", "gpt_neox"}})->eos_id, 2);
}

TEST(ConfigTest, OptionsOfAllLayersOfAKindAreKeptForTheTensors) {
  EXPECT_EQ(Parse({{"model_type", "sparse_opt"}, {"dyad_dim", 4}})->layer_options.at("dyad_dim"),
            4);
  EXPECT_TRUE(Parse({{"model_type", "sparse_gpt_neox"}})->layer_options.empty());
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
