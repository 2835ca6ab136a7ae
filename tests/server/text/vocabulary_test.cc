// vocab.json, merges.txt, added_tokens.json and added tokens as objects.
#include "server/text/vocabulary.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/text/tiny_tokenizer.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::StatusIs;
using testing::TemporaryFolder;
using testing::TinySpec;

class VocabularyFilesTest : public ::testing::Test {
 protected:
  VocabularyFilesTest() {
    folder_.Write("vocab.json", testing::TinyVocabularyJson());
    folder_.Write("merges.txt", testing::TinyMergesText());
  }
  absl::StatusOr<TokenizerSpec> Read() const { return ReadVocabularyFiles(folder_.path()); }

  TemporaryFolder folder_;
};

TEST_F(VocabularyFilesTest, ReadsEntriesAndMerges) {
  const absl::StatusOr<TokenizerSpec> spec = Read();
  ASSERT_OK(spec);
  EXPECT_EQ(spec->vocabulary, TinySpec().vocabulary);
  EXPECT_EQ(spec->merges, TinySpec().merges);
  EXPECT_EQ(spec->vocabulary_source, "vocab.json");
  EXPECT_EQ(spec->merges_source, "merges.txt");
  EXPECT_TRUE(spec->added.empty());
}

TEST_F(VocabularyFilesTest, MergesMayHaveNoHeaderBlankLinesAndCarriageReturns) {
  folder_.Write("merges.txt", std::string("h e\r\n\r\nl l\n\n# h"));
  const absl::StatusOr<TokenizerSpec> spec = Read();
  ASSERT_OK(spec);
  ASSERT_EQ(spec->merges.size(), 3u);
  EXPECT_EQ(spec->merges[0], (std::pair<std::string, std::string>("h", "e")));
  EXPECT_EQ(spec->merges[2], (std::pair<std::string, std::string>("#", "h")));
}

TEST_F(VocabularyFilesTest, BadMergesAreRefusedByLine) {
  for (const char* line : {"one", "a b c", " a", "a ", "a  b", " "}) {
    folder_.Write("merges.txt", "#version: 0.2\nh e\n" + std::string(line) + "\nl l\n");
    EXPECT_THAT(Read(), StatusIs(kInvalid, HasSubstr("merges.txt: line 3 is not two"))) << line;
  }
  folder_.Write("merges.txt", std::string("h e\n\xFF l\n"));
  EXPECT_THAT(Read(), StatusIs(kInvalid, HasSubstr("merges.txt: line 2 is not valid UTF-8")));
}

TEST_F(VocabularyFilesTest, BadEntriesAreRefusedByName) {
  folder_.Write("vocab.json", json::object());
  EXPECT_THAT(Read(), StatusIs(kInvalid, HasSubstr("at least one entry")));
  folder_.Write("vocab.json", json{{"a", 0}, {"b", "1"}});
  EXPECT_THAT(Read(), StatusIs(kInvalid, AllOf(HasSubstr("vocab.json[\"b\"]"), HasSubstr("id"))));
  folder_.Write("vocab.json", json{{"a", -1}});
  EXPECT_THAT(Read(), StatusIs(kInvalid, HasSubstr("vocab.json[\"a\"] is -1")));
  folder_.Write("vocab.json", json{{std::string(4097, 'a'), 1}});
  EXPECT_THAT(Read(), StatusIs(kInvalid, HasSubstr("4097 bytes")));
}

TEST_F(VocabularyFilesTest, AddedTokensJoinTheVocabulary) {
  folder_.Write("added_tokens.json", json{{"[PAD]", 300}});
  const absl::StatusOr<TokenizerSpec> spec = Read();
  ASSERT_OK(spec);
  EXPECT_EQ(spec->vocabulary.at("[PAD]"), 300);
  ASSERT_EQ(spec->added.size(), 1u);
  EXPECT_FALSE(spec->added[0].special);
  EXPECT_TRUE(spec->added[0].normalized);
  folder_.Write("added_tokens.json", json{{"[PAD]", "300"}});
  EXPECT_THAT(Read(), StatusIs(kInvalid, HasSubstr("added_tokens.json: [PAD]")));
  folder_.Write("added_tokens.json", json{{"", 300}});
  EXPECT_THAT(Read(), StatusIs(kInvalid, HasSubstr("1 to 4096 bytes")));
}

TEST(ReadAddedTokenTest, DefaultsDependOnSpecial) {
  const json special = {{"content", "<x>"}, {"special", true}};
  const absl::StatusOr<AddedToken> token = ReadAddedToken(JsonValue(special, "here"));
  ASSERT_OK(token);
  EXPECT_EQ(token->content, "<x>");
  EXPECT_TRUE(token->special);
  EXPECT_FALSE(token->normalized);
  const json plain = {{"content", "  "}, {"lstrip", true}, {"rstrip", true}, {"single_word", true}};
  const absl::StatusOr<AddedToken> other = ReadAddedToken(JsonValue(plain, "here"));
  ASSERT_OK(other);
  EXPECT_TRUE(other->normalized);
  EXPECT_TRUE(other->left_strip && other->right_strip && other->single_word);
}

TEST(ReadAddedTokenTest, WrongFieldsAreRefused) {
  for (const json& bad :
       {json{{"content", ""}}, json{{"content", 1}}, json::object(), json("text"),
        json{{"content", "x"}, {"special", "yes"}}, json{{"content", "x"}, {"lstrip", 1}},
        json{{"content", std::string(5000, 'x')}}}) {
    EXPECT_THAT(ReadAddedToken(JsonValue(bad, "here")), StatusIs(kInvalid, HasSubstr("here: ")));
  }
}

}  // namespace
}  // namespace dyad
