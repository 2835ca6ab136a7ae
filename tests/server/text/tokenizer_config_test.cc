// tokenizer_config.json and special_tokens_map.json: roles, special tokens, frame.
#include "server/text/tokenizer_config.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/text/tiny_tokenizer.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::kEnd;
using testing::StatusIs;
using testing::TemporaryFolder;
using testing::TinySpec;
using Ids = std::vector<int32_t>;

class TokenizerConfigTest : public ::testing::Test {
 protected:
  absl::StatusOr<TokenizerSpec> Apply(const json& config) const {
    return Apply(config, TinySpec());
  }
  absl::StatusOr<TokenizerSpec> Apply(const json& config, TokenizerSpec spec) const {
    folder_.Write("tokenizer_config.json", config);
    const absl::Status status = ApplyTokenizerConfig(folder_.path(), spec);
    if (!status.ok()) return status;
    return spec;
  }

  TemporaryFolder folder_;
};

TEST_F(TokenizerConfigTest, BothFilesMayBeAbsent) {
  TokenizerSpec spec = TinySpec();
  EXPECT_OK(ApplyTokenizerConfig(folder_.path(), spec));
  EXPECT_TRUE(spec.added.empty());
  EXPECT_EQ(spec.bos_id, std::nullopt);
  EXPECT_EQ(spec.eos_id, std::nullopt);
}

TEST_F(TokenizerConfigTest, EndOfTextIsSpecialWhereNothingElseIs) {
  TokenizerSpec spec = TinySpec();
  spec.vocabulary["<|endoftext|>"] = 264;
  const absl::StatusOr<TokenizerSpec> alone = Apply(json::object(), spec);
  ASSERT_OK(alone);
  ASSERT_EQ(alone->added.size(), 1u);
  EXPECT_EQ(alone->added[0].id, 264);
  EXPECT_TRUE(alone->added[0].special);
  const absl::StatusOr<TokenizerSpec> named = Apply({{"bos_token", "<end>"}}, spec);
  ASSERT_OK(named);
  ASSERT_EQ(named->added.size(), 1u);
  EXPECT_EQ(named->added[0].id, kEnd);
}

TEST_F(TokenizerConfigTest, RolesAreStringsOrObjects) {
  const absl::StatusOr<TokenizerSpec> spec =
      Apply({{"bos_token", "<end>"},
             {"eos_token", {{"content", "a"}, {"lstrip", true}, {"__type", "AddedToken"}}},
             {"pad_token", "<not in the vocabulary>"},
             {"unk_token", nullptr}});
  ASSERT_OK(spec);
  EXPECT_EQ(spec->bos_id, kEnd);
  EXPECT_EQ(spec->eos_id, 'a');
  ASSERT_EQ(spec->added.size(), 2u);
  for (const AddedToken& token : spec->added) EXPECT_TRUE(token.special);
  EXPECT_TRUE(spec->added[1].left_strip);
}

TEST_F(TokenizerConfigTest, TheMapFillsRolesThatTheConfigLeavesOpen) {
  folder_.Write(
      "special_tokens_map.json",
      json{{"bos_token", "b"}, {"eos_token", "a"}, {"additional_special_tokens", {"c", "zzz"}}});
  const absl::StatusOr<TokenizerSpec> spec = Apply({{"bos_token", "<end>"}});
  ASSERT_OK(spec);
  EXPECT_EQ(spec->bos_id, kEnd);
  EXPECT_EQ(spec->eos_id, 'a');
  EXPECT_EQ(spec->added.size(), 3u);  // "c" too, and "b" has no role
}

TEST_F(TokenizerConfigTest, KnownAddedTokensAreKeptAndBecomeSpecial) {
  TokenizerSpec spec = TinySpec();
  spec.added.push_back(testing::MakeAdded("<end>", kEnd));
  spec.added.back().right_strip = true;
  const absl::StatusOr<TokenizerSpec> applied = Apply({{"eos_token", "<end>"}}, spec);
  ASSERT_OK(applied);
  ASSERT_EQ(applied->added.size(), 1u);
  EXPECT_TRUE(applied->added[0].special);
  EXPECT_TRUE(applied->added[0].right_strip);
}

TEST_F(TokenizerConfigTest, TheDecoderTableAddsTokens) {
  const absl::StatusOr<TokenizerSpec> spec =
      Apply({{"added_tokens_decoder",
              {{"1000", {{"content", "<x>"}, {"special", true}}}, {"263", {{"content", "<end>"}}}}},
             {"eos_token", "<x>"}});
  ASSERT_OK(spec);
  ASSERT_EQ(spec->added.size(), 2u);
  EXPECT_EQ(spec->added[0].id, 263);  // in the order of ids
  EXPECT_FALSE(spec->added[0].special);
  EXPECT_EQ(spec->eos_id, 1000);
}

TEST_F(TokenizerConfigTest, AddBosAndEosMakeAFrameUnlessATemplateDid) {
  const json config = {
      {"bos_token", "<end>"}, {"eos_token", "a"}, {"add_bos_token", true}, {"add_eos_token", true}};
  const absl::StatusOr<TokenizerSpec> spec = Apply(config);
  ASSERT_OK(spec);
  EXPECT_EQ(spec->frame_before, (Ids{kEnd}));
  EXPECT_EQ(spec->frame_after, (Ids{'a'}));
  TokenizerSpec with_template = TinySpec();
  with_template.has_template = true;
  const absl::StatusOr<TokenizerSpec> kept = Apply(config, with_template);
  ASSERT_OK(kept);
  EXPECT_TRUE(kept->frame_before.empty() && kept->frame_after.empty());
}

TEST_F(TokenizerConfigTest, ThePrefixSpaceIsTheConfigsIfGiven) {
  TokenizerSpec spec = TinySpec();
  spec.add_prefix_space = true;
  EXPECT_TRUE(Apply(json::object(), spec)->add_prefix_space);
  EXPECT_FALSE(Apply({{"add_prefix_space", false}}, spec)->add_prefix_space);
}

struct RefusedConfig {
  json config;
  const char* message;
};

TEST_F(TokenizerConfigTest, WrongValuesAreRefusedByPlace) {
  const std::vector<RefusedConfig> cases = {
      {{{"bos_token", "nope"}},
       "tokenizer_config.json: bos_token is \"nope\", which is not in the"},
      {{{"eos_token", "nope"}}, "tokenizer_config.json: eos_token is \"nope\""},
      {{{"bos_token", 3}}, "bos_token is 3; expected a string"},
      {{{"bos_token", ""}}, "bos_token is \"\""},
      {{{"bos_token", {{"content", 3}}}}, "bos_token.content is 3"},
      {{{"add_bos_token", "yes"}}, "add_bos_token is \"yes\""},
      {{{"add_bos_token", true}}, "add_bos_token is true, but there is no bos_token"},
      {{{"add_eos_token", true}}, "add_eos_token is true, but there is no eos_token"},
      {{{"add_prefix_space", 1}}, "add_prefix_space is 1"},
      {{{"additional_special_tokens", "x"}}, "additional_special_tokens is \"x\""},
      {{{"added_tokens_decoder", 1}}, "added_tokens_decoder is 1"},
      {{{"added_tokens_decoder", {{"x", {{"content", "y"}}}}}}, "added_tokens_decoder.x"},
      {{{"added_tokens_decoder", {{"-1", {{"content", "y"}}}}}}, "added_tokens_decoder.-1"},
      {{{"added_tokens_decoder", {{"99999999999", {{"content", "y"}}}}}}, "to be a token id"},
      {{{"added_tokens_decoder", {{"5", "y"}}}}, "added_tokens_decoder.5.content"},
  };
  for (const RefusedConfig& refused : cases) {
    EXPECT_THAT(Apply(refused.config),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(refused.message)))
        << refused.config;
  }
}

TEST_F(TokenizerConfigTest, BrokenFilesAreRefusedByName) {
  folder_.Write("special_tokens_map.json", std::string("{"));
  EXPECT_THAT(Apply(json::object()), StatusIs(absl::StatusCode::kInvalidArgument,
                                              HasSubstr("special_tokens_map.json: is not JSON")));
}

}  // namespace
}  // namespace dyad
