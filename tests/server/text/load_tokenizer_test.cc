// LoadTokenizer: which files it takes, the demonstration model's own tokenizer, and that no
// damaged file does more than be refused.
#include "server/text/load_tokenizer.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/text/tiny_tokenizer.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"
#include "tests/support/unreadable.h"

namespace dyad {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::kEnd;
using testing::kHello;
using testing::StatusIs;
using testing::TemporaryFolder;
using Ids = std::vector<int32_t>;

absl::StatusOr<std::unique_ptr<Tokenizer>> Load(const TemporaryFolder& folder) {
  return LoadTokenizer(folder.path().string());
}

TEST(TokenizerLoadTest, AFolderWithoutTokenizerFilesHasNone) {
  const TemporaryFolder folder;
  folder.Write("tokenizer_config.json", json::object());
  const absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Load(folder);
  ASSERT_OK(tokenizer);
  EXPECT_EQ(*tokenizer, nullptr);
}

TEST(TokenizerLoadTest, NamesTheFilesThatATokenizerIsMadeOf) {
  const auto files = TokenizerFiles(testing::DemoModelDir().string());
  ASSERT_OK(files);
  EXPECT_THAT(*files, ::testing::ElementsAre("special_tokens_map.json", "tokenizer.json",
                                             "tokenizer_config.json"));
}

TEST(TokenizerLoadTest, BothFormsGiveTheSameTokenizer) {
  const TemporaryFolder one_file;
  one_file.Write("tokenizer.json", testing::TinyTokenizerJson());
  const TemporaryFolder two_files;
  two_files.Write("vocab.json", testing::TinyVocabularyJson());
  two_files.Write("merges.txt", testing::TinyMergesText());
  two_files.Write("special_tokens_map.json", json{{"eos_token", "<end>"}});
  for (const TemporaryFolder* folder : {&one_file, &two_files}) {
    const absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Load(*folder);
    ASSERT_OK(tokenizer);
    EXPECT_EQ((*tokenizer)->Encode("hello<end>a", {})->ids, (Ids{kHello, kEnd, 'a'}));
  }
}

TEST(TokenizerLoadTest, TokenizerJsonComesFirstAndHalfOfTheOtherFormIsRefused) {
  const TemporaryFolder folder;
  folder.Write("merges.txt", std::string("broken"));
  EXPECT_THAT(Load(folder),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("vocab.json is absent")));
  folder.Write("tokenizer.json", testing::TinyTokenizerJson());
  EXPECT_OK(Load(folder));
  const TemporaryFolder other;
  other.Write("vocab.json", testing::TinyVocabularyJson());
  EXPECT_THAT(Load(other),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("merges.txt is absent")));
}

// A folder that lacks a file is served without what it says; this must not happen by a broken link.
TEST(TokenizerLoadTest, FilesThatCannotBeReadAreNotAbsent) {
  for (const char* file : {"tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json",
                           "special_tokens_map.json", "added_tokens.json"}) {
    for (const testing::Unreadable& way : testing::kUnreadable) {
      const TemporaryFolder folder;
      folder.Write("vocab.json", testing::TinyVocabularyJson());
      folder.Write("merges.txt", testing::TinyMergesText());
      std::filesystem::remove(folder.path() / file);
      way.make(folder.path() / file);
      const testing::WithoutRights nobody;
      const absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Load(folder);
      ASSERT_FALSE(tokenizer.ok()) << way.name << " " << file;
      EXPECT_THAT(std::string(tokenizer.status().message()),
                  ::testing::AllOf(HasSubstr(absl::StrCat("'", file, "': cannot open")),
                                   HasSubstr(way.reason)));
    }
  }
  EXPECT_THAT(LoadTokenizer("/no/such/folder"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no such folder")));
}

// A file cut at a line's end, or at a list's, is well formed; its words would fall into letters.
TEST(TokenizerLoadTest, MergesThatWereCutAreRefused) {
  const TemporaryFolder one_file;
  const TemporaryFolder two_files;
  two_files.Write("vocab.json", testing::TinyVocabularyJson());
  std::string merges = testing::TinyMergesText();
  json tokenizer = testing::TinyTokenizerJson();
  for (int left = static_cast<int>(testing::TinyMerges().size()); left >= 0; --left) {
    one_file.Write("tokenizer.json", tokenizer);
    two_files.Write("merges.txt", left == 0 ? "" : merges);  // 0 bytes, and without its header too
    if (left == 7) {
      EXPECT_OK(Load(one_file));
      EXPECT_OK(Load(two_files));
    } else {
      EXPECT_THAT(Load(one_file), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr(absl::StrCat("model.merges has ", left))));
      EXPECT_THAT(Load(two_files), StatusIs(absl::StatusCode::kInvalidArgument,
                                            HasSubstr(absl::StrCat("merges.txt has ", left))));
    }
    merges.resize(merges.rfind('\n', merges.size() - 2) + 1);
    if (left > 0) tokenizer["model"]["merges"].erase(left - 1);
  }
}

TEST(TokenizerLoadTest, TheConfigIsApplied) {
  const TemporaryFolder folder;
  folder.Write("tokenizer.json", testing::TinyTokenizerJson());
  folder.Write("tokenizer_config.json", json{{"bos_token", "<end>"}, {"add_bos_token", true}});
  const absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Load(folder);
  ASSERT_OK(tokenizer);
  EXPECT_EQ((*tokenizer)->bos_id(), kEnd);
  EXPECT_EQ((*tokenizer)->Encode("a", {.frame = Frame::kDefault})->ids, (Ids{kEnd, 'a'}));
}

class DemoTokenizerTest : public ::testing::Test {
 protected:
  DemoTokenizerTest() : tokenizer_(*LoadTokenizer(testing::DemoModelDir().string())) {}
  std::unique_ptr<Tokenizer> tokenizer_;
};

struct Vector {
  const char* text;
  Ids ids;
};

// Computed by a slow implementation of the definition in another language, but for the last: that
// is a reference run of the model, and its ids are what the text encodes to.
const Vector kDemoVectors[] = {
    {"Once upon a time there was a little girl who",
     {3908, 691, 262, 560, 454, 312, 262, 474, 801, 452}},
    {" had a little girl, who had", {347, 262, 474, 801, 15, 452, 347}},
    {"The cats that the dog chases aren't here.",
     {348, 5056, 321, 265, 1709, 437, 4289, 4586, 398, 705, 17}},
    {"  two  blanks, a\ttab\n\nand 42 lines\n",
     {224, 666, 224, 629, 4137, 15, 262, 201, 87, 481, 202, 202, 434, 5960, 21, 4046, 202}},
    {"caf\u00e9 na\u00efve \u4f60\u597d \U0001f600",
     {70,  2789, 6574, 298, 68,  131, 111, 316, 224, 164,
      125, 258,  165,  102, 125, 224, 176, 257, 250, 226}},
    {"a </s> b<pad>", {68, 224, 2, 272, 1}},
    {"I've said: 'it's she'll' (twice)!",
     {44, 926, 359, 29, 465, 278, 361, 356, 702, 10, 1228, 4569, 603, 12, 4}},
    {"supercalifragilisticexpialidocious "
     "abababababababababababababababababababababababababababababab",
     {86,  88,  771, 70,  358, 371, 405, 8151, 544, 603, 4494, 1979, 310, 82,  1916,
      456, 481, 481, 481, 481, 481, 481, 481,  481, 481, 481,  481,  481, 481, 481,
      481, 481, 481, 481, 481, 481, 481, 481,  481, 481, 481,  481,  481, 481, 481}},
    {" had a little girl, who had a little girl, who had a little girl, who had a little girl, who "
     "had a little girl, and had a little girl, who had a little girl",
     {347, 262, 474, 801, 15,  452, 347, 262, 474, 801, 15,  452, 347, 262,
      474, 801, 15,  452, 347, 262, 474, 801, 15,  452, 347, 262, 474, 801,
      15,  274, 347, 262, 474, 801, 15,  452, 347, 262, 474, 801}},
};

TEST_F(DemoTokenizerTest, EncodesAndDecodesItsVectors) {
  for (const Vector& vector : kDemoVectors) {
    EXPECT_EQ(tokenizer_->Encode(vector.text, {})->ids, vector.ids) << vector.text;
    EXPECT_EQ(tokenizer_->Decode(vector.ids, DecodeSpecial::kKeep), vector.text);
  }
}

TEST_F(DemoTokenizerTest, HasItsEndTokenInFrontAndAsBosAndEos) {
  EXPECT_EQ(tokenizer_->vocab_size(), 8192);
  EXPECT_EQ(tokenizer_->bos_id(), 2);
  EXPECT_EQ(tokenizer_->eos_id(), 2);
  const Encoding framed = *tokenizer_->Encode("Once", {.frame = Frame::kDefault});
  EXPECT_EQ(framed.ids.front(), 2);
  EXPECT_EQ(framed.ids.size(), 1 + tokenizer_->Encode("Once", {})->ids.size());
  EXPECT_EQ(tokenizer_->Decode(framed.ids, DecodeSpecial::kSkip), "Once");
}

// Damaged files: each must be refused with a message or give a tokenizer that works; nothing may
// crash.
class DamagedTokenizerTest : public ::testing::Test {
 protected:
  void Try(const TemporaryFolder& folder) {
    const absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Load(folder);
    if (!tokenizer.ok()) {
      ++refused_;
      EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_FALSE(tokenizer.status().message().empty());
      return;
    }
    ++loaded_;
    const absl::StatusOr<Encoding> encoding =
        (*tokenizer)->Encode("hello world  <end>\u00e9 it's 42", {.frame = Frame::kDefault});
    ASSERT_OK(encoding);
    for (const int32_t id : encoding->ids) ASSERT_LT(id, (*tokenizer)->vocab_size());
    (*tokenizer)->Decode(encoding->ids, DecodeSpecial::kKeep);
  }

  std::mt19937 random_{23};
  int refused_ = 0;
  int loaded_ = 0;
};

json RandomValue(std::mt19937& random) {
  const json values[] = {nullptr,
                         true,
                         -1,
                         0,
                         263,
                         1e300,
                         18446744073709551615u,
                         "",
                         "a",
                         "a b",
                         "NFC",
                         json::array(),
                         json::object(),
                         json{{"type", "Sequence"}},
                         json::array({"h", "e"}),
                         json::array({1, 2})};
  return values[random() % std::size(values)];
}

// Replaces, removes or doubles one value somewhere below; mostly near the top, where the meaning
// is.
void Mutate(json& value, std::mt19937& random) {
  if (value.is_structured() && !value.empty() && random() % 8 != 0) {
    auto child = value.begin();
    std::advance(child, random() % value.size());
    if (random() % 12 == 0) {
      value.erase(child);
    } else if (value.is_array() && random() % 12 == 0) {
      const json copy = *child;
      value.push_back(copy);
    } else {
      Mutate(*child, random);
    }
    return;
  }
  value = RandomValue(random);
}

TEST_F(DamagedTokenizerTest, MutatedValuesAreRefusedOrWork) {
  const TemporaryFolder folder;
  json whole = testing::TinyTokenizerJson();
  whole["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "<end>"}}}}, {{"Sequence", {{"id", "A"}}}}}},
      {"special_tokens", {{"<end>", {{"ids", {kEnd}}}}}}};
  const json config = {{"bos_token", "<end>"},
                       {"eos_token", {{"content", "<end>"}, {"lstrip", false}}},
                       {"add_bos_token", true},
                       {"added_tokens_decoder", {{"263", {{"content", "<end>"}}}}}};
  for (int i = 0; i < 400; ++i) {
    json mutated = whole;
    Mutate(mutated, random_);
    folder.Write("tokenizer.json", mutated);
    json mutated_config = config;
    if (random_() % 3 == 0) Mutate(mutated_config, random_);
    folder.Write("tokenizer_config.json", mutated_config);
    Try(folder);
  }
  EXPECT_GT(refused_, 100);
  EXPECT_GT(loaded_, 20);
}

TEST_F(DamagedTokenizerTest, MutatedBytesAreRefusedOrWork) {
  const TemporaryFolder folder;
  const std::string whole = testing::TinyTokenizerJson().dump();
  for (int i = 0; i < 400; ++i) {
    std::string mutated = whole;
    for (int n = 1 + random_() % 3; n > 0; --n) {
      const size_t place = random_() % mutated.size();
      switch (random_() % 4) {
        case 0:
          mutated[place] = static_cast<char>(random_());
          break;
        case 1:
          mutated.erase(place, 1 + random_() % 20);
          break;
        case 2:
          mutated.insert(place, mutated.substr(random_() % mutated.size(), 1 + random_() % 20));
          break;
        default:
          mutated[place] = "{}[]\",:0-\\"[random_() % 10];
      }
      if (mutated.empty()) mutated.assign(1, '{');
    }
    if (random_() % 10 == 0) mutated.resize(random_() % mutated.size());
    folder.Write("tokenizer.json", mutated);
    Try(folder);
  }
  EXPECT_GT(refused_, 200);
  EXPECT_GT(loaded_, 5);
}

TEST_F(DamagedTokenizerTest, MutatedVocabularyFilesAreRefusedOrWork) {
  const TemporaryFolder folder;
  const std::string vocabulary = testing::TinyVocabularyJson().dump();
  const std::string merges = testing::TinyMergesText();
  for (int i = 0; i < 300; ++i) {
    std::string mutated_vocabulary = vocabulary;
    std::string mutated_merges = merges;
    std::string& mutated = i % 2 == 0 ? mutated_vocabulary : mutated_merges;
    mutated[random_() % mutated.size()] = static_cast<char>(random_());
    folder.Write("vocab.json", mutated_vocabulary);
    folder.Write("merges.txt", mutated_merges);
    Try(folder);
  }
  EXPECT_GT(refused_, 50);
  EXPECT_GT(loaded_, 5);
}

}  // namespace
}  // namespace dyad
