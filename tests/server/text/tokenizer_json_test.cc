// tokenizer.json: what is read from it, and that anything else than ByteLevel BPE is refused by
// name.
#include "server/text/tokenizer_json.h"

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
using testing::StatusIs;
using testing::TemporaryFolder;
using testing::TinySpec;
using testing::TinyTokenizerJson;

absl::StatusOr<TokenizerSpec> Read(const json& content) {
  const TemporaryFolder folder;
  return ReadTokenizerJson(folder.Write("tokenizer.json", content));
}

TEST(TokenizerJsonTest, ReadsEveryPart) {
  json content = TinyTokenizerJson();
  content["normalizer"] = {{"type", "NFC"}};
  content["pre_tokenizer"]["add_prefix_space"] = true;
  content["pre_tokenizer"]["use_regex"] = false;
  content["model"]["unk_token"] = "<end>";
  content["model"]["fuse_unk"] = true;
  content["model"]["ignore_merges"] = true;
  const absl::StatusOr<TokenizerSpec> spec = Read(content);
  ASSERT_OK(spec);
  EXPECT_EQ(spec->vocabulary, TinySpec().vocabulary);
  EXPECT_EQ(spec->merges, TinySpec().merges);
  EXPECT_EQ(spec->normalizer, Normalizer::kNfc);
  EXPECT_TRUE(spec->add_prefix_space);
  EXPECT_FALSE(spec->split_words);
  EXPECT_EQ(spec->unknown, "<end>");
  EXPECT_TRUE(spec->fuse_unknown);
  EXPECT_TRUE(spec->whole_words_first);
  ASSERT_EQ(spec->added.size(), 1u);
  EXPECT_EQ(spec->added[0].id, testing::kEnd);
  EXPECT_TRUE(spec->added[0].special);
  EXPECT_FALSE(spec->has_template);
  EXPECT_EQ(spec->merges_source, "tokenizer.json: model.merges");
}

TEST(TokenizerJsonTest, MergesMayBePairsAndTypesOfEarlyFilesAbsent) {
  json content = TinyTokenizerJson();
  content["model"].erase("type");
  content["model"]["merges"] = json::array({json::array({"h", "e"}), json::array({"l", "l"})});
  content.erase("normalizer");
  content.erase("decoder");
  content.erase("added_tokens");
  content.erase("post_processor");
  const absl::StatusOr<TokenizerSpec> spec = Read(content);
  ASSERT_OK(spec);
  EXPECT_EQ(spec->merges.size(), 2u);
  EXPECT_EQ(spec->normalizer, Normalizer::kNone);
  EXPECT_TRUE(spec->split_words);
}

TEST(TokenizerJsonTest, ThePrefixSpaceIsTheReferencesDefault) {
  json content = TinyTokenizerJson();
  content["pre_tokenizer"].erase("add_prefix_space");
  const absl::StatusOr<TokenizerSpec> spec = Read(content);
  ASSERT_OK(spec);
  EXPECT_TRUE(spec->add_prefix_space);
}

struct RefusedFile {
  const char* pointer;  // JSON pointer to what is replaced
  json value;
  const char* message;
};

TEST(TokenizerJsonTest, WhatIsNotSupportedIsRefusedByName) {
  const std::vector<RefusedFile> cases = {
      {"/model/type", "WordPiece", "model.type is \"WordPiece\"; expected \"BPE\""},
      {"/model/type", 3, "model.type is 3"},
      {"/model", nullptr, "model is absent or null; expected an object"},
      {"/model/vocab", nullptr, "model.vocab is absent"},
      {"/model/vocab/a", "x", "model.vocab[\"a\"] is \"x\"; expected a token id"},
      {"/model/vocab/a", 1.5, "model.vocab[\"a\"] is 1.5"},
      {"/model/merges", nullptr, "model.merges is absent"},
      {"/model/merges/2", "he", "model.merges[2] is \"he\""},
      {"/model/merges/2", "h e l", "model.merges[2]"},
      {"/model/merges/2", json::array({"h"}), "model.merges[2]"},
      {"/model/merges/2", json::array({"h", 1}), "model.merges[2][1] is 1; expected a string"},
      {"/model/merges/2", 7, "model.merges[2] is 7"},
      {"/model/dropout", 0.1, "model.dropout is 0.1"},
      {"/model/byte_fallback", true, "model.byte_fallback is true"},
      {"/model/continuing_subword_prefix", "##", "model.continuing_subword_prefix is \"##\""},
      {"/model/end_of_word_suffix", "</w>", "model.end_of_word_suffix is \"</w>\""},
      {"/model/unk_token", 0, "model.unk_token is 0"},
      {"/normalizer", {{"type", "Lowercase"}}, "normalizer.type is \"Lowercase\""},
      {"/normalizer", "NFC", "normalizer.type is absent"},
      {"/pre_tokenizer", nullptr, "pre_tokenizer.type is absent"},
      {"/pre_tokenizer/type", "Whitespace", "pre_tokenizer.type is \"Whitespace\""},
      {"/pre_tokenizer/use_regex", 1, "pre_tokenizer.use_regex is 1"},
      {"/decoder/type", "WordPiece", "decoder.type is \"WordPiece\""},
      {"/post_processor/type", "Other", "post_processor.type is \"Other\""},
      {"/added_tokens", 1, "added_tokens is 1; expected a list"},
      {"/added_tokens/0/id", -1, "added_tokens[0].id is -1"},
      {"/added_tokens/0/content", nullptr, "added_tokens[0].content is absent"},
      {"/added_tokens/1", {{"id", 3}, {"content", "<end>"}}, "not in the list yet"},
  };
  for (const RefusedFile& refused : cases) {
    json content = TinyTokenizerJson();
    content[json::json_pointer(refused.pointer)] = refused.value;
    EXPECT_THAT(Read(content),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(refused.message)))
        << refused.pointer;
  }
}

TEST(TokenizerJsonTest, ZeroDropoutAndEmptyAffixesAreNone) {
  json content = TinyTokenizerJson();
  content["model"]["dropout"] = 0.0;
  content["model"]["continuing_subword_prefix"] = "";
  content["model"]["end_of_word_suffix"] = "";
  content["truncation"] = {{"max_length", 1}};
  EXPECT_OK(Read(content));
}

}  // namespace
}  // namespace dyad
