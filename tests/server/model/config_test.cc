// Keys that all architectures have, and refusals.
#include "server/model/config.h"

#include <any>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/model/gpt_neox_config.h"
#include "server/model/opt_config.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"
#include "tests/support/unreadable.h"

namespace dyad {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::StatusIs;

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
  EXPECT_THAT(parse(99)->eos_ids, ElementsAre(99));
  EXPECT_EQ(parse(99)->bos_id, 2);  // default
  EXPECT_THAT(parse(json::array({5, 6}))->eos_ids, ElementsAre(5, 6));
  EXPECT_THAT(parse(nullptr)->eos_ids, IsEmpty());
  EXPECT_THAT(parse(json::array())->eos_ids, IsEmpty());
  for (const json& bad : {json(100), json(-1), json("2"), json(5.5), json::array({100}),
                          json::array({5, 100, 6}), json::array({5, nullptr}), json::array({"2"}),
                          json::array({1ull << 63}), json(std::vector<int>(129, 5))}) {
    EXPECT_THAT(parse(bad), StatusIs(kInvalid, HasSubstr("eos_token_id"))) << bad;
  }
  EXPECT_EQ(Parse({{"model_type", "opt"}, {"vocab_size", 1}})->bos_id, std::nullopt);
  EXPECT_EQ(Parse({{"model_type", "gpt_neox"}})->bos_id, 0);
  EXPECT_THAT(Parse({{"model_type", "gpt_neox"}})->eos_ids, ElementsAre(2));
  EXPECT_THAT(
      Parse({{"model_type", "opt"}, {"bos_token_id", json::array({2, 5})}}),
      StatusIs(kInvalid, HasSubstr("bos_token_id is a list of 2 elements, expected one id")));
  EXPECT_THAT(parse(json::array({5, 50118})), StatusIs(kInvalid, HasSubstr("50118")));
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

TEST(ReadConfigTest, EosOfTheGenerationConfigComesFirst) {
  testing::ScratchFolder folder;
  folder.Write("config.json",
               R"({"model_type": "opt", "vocab_size": 64, "eos_token_id": [2, 60]})");
  EXPECT_THAT(ReadConfig(folder.path())->eos_ids, ElementsAre(2, 60));
  folder.Write("generation_config.json", R"({"eos_token_id": [7, 8, 9], "temperature": 0.6})");
  EXPECT_THAT(ReadConfig(folder.path())->eos_ids, ElementsAre(7, 8, 9));
  folder.Write("generation_config.json", R"({"eos_token_id": 7})");
  EXPECT_THAT(ReadConfig(folder.path())->eos_ids, ElementsAre(7));
  for (const char* silent : {"{}", R"({"eos_token_id": null})"}) {
    folder.Write("generation_config.json", silent);
    EXPECT_THAT(ReadConfig(folder.path())->eos_ids, ElementsAre(2, 60)) << silent;
  }
  folder.Write("generation_config.json", R"({"eos_token_id": [7, 64]})");
  EXPECT_THAT(ReadConfig(folder.path()),
              StatusIs(kInvalid,
                       AllOf(HasSubstr("generation_config.json: eos_token_id"), HasSubstr("64"))));
  folder.Write("generation_config.json", "[]");
  EXPECT_THAT(ReadConfig(folder.path()), StatusIs(kInvalid, HasSubstr("generation_config.json")));
}

TEST(ReadConfigTest, FilesThatCannotBeReadAreNotAbsent) {
  testing::ScratchFolder parent;
  for (const char* file : {"config.json", "generation_config.json"}) {
    for (const testing::Unreadable& way : testing::kUnreadable) {
      const auto folder = parent / absl::StrCat(way.name, "-", file);
      std::filesystem::create_directory(folder);
      if (file == std::string("generation_config.json")) {
        std::ofstream(folder / "config.json") << R"({"model_type": "opt"})";
      }
      way.make(folder / file);
      const testing::WithoutRights nobody;
      const auto config = ReadConfig(folder.string());
      ASSERT_FALSE(config.ok()) << folder;
      EXPECT_THAT(
          std::string(config.status().message()),
          AllOf(HasSubstr(absl::StrCat("'", file, "': cannot open")), HasSubstr(way.reason)));
    }
  }
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
