// Ids and texts of real tokenizers against golden vectors of the reference implementation: OPT,
// GPT-2 and GPT-NeoX, 1,765 texts each over 61 scripts, broken characters, blanks, special tokens,
// long words. They belong to others and are not part of the repository; without them these tests
// are skipped, and byte_level_tokenizer_test.cc stays.
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/text/load_tokenizer.h"
#include "server/text/stream_decoder.h"
#include "tests/server/text/tiny_tokenizer.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using nlohmann::json;

std::filesystem::path DataDir() { return testing::SharedDir() / "data"; }

std::string Gunzip(const std::filesystem::path& path) {
  std::string content;
  FILE* pipe = popen(("gzip -dc '" + path.string() + "'").c_str(), "r");
  if (pipe == nullptr) return content;
  std::array<char, 65536> buffer;
  for (size_t bytes; (bytes = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    content.append(buffer.data(), bytes);
  }
  EXPECT_EQ(pclose(pipe), 0) << path;
  return content;
}

std::vector<json> ReadRows(const std::string& name) {
  std::vector<json> rows;
  const std::string content = Gunzip(DataDir() / "golden" / name);
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    json row = json::parse(content.substr(begin, end - begin), nullptr, false);
    EXPECT_FALSE(row.is_discarded()) << name;
    rows.push_back(std::move(row));
    begin = end + 1;
  }
  return rows;
}

bool IsAscii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

class GoldenVectorsTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::filesystem::path folder = DataDir() / "tokenizers" / GetParam();
    if (!std::filesystem::exists(folder)) {
      GTEST_SKIP() << "no golden vectors at " << folder << " (set DYAD_SHARED_DIR)";
    }
    absl::StatusOr<std::unique_ptr<Tokenizer>> loaded = LoadTokenizer(folder.string());
    ASSERT_OK(loaded);
    tokenizer_ = *std::move(loaded);
    ASSERT_NE(tokenizer_, nullptr);
  }

  std::vector<int32_t> Ids(const std::string& text, const EncodeOptions& options) const {
    const absl::StatusOr<Encoding> encoding = tokenizer_->Encode(text, options);
    EXPECT_OK(encoding);
    return encoding.ok() ? encoding->ids : std::vector<int32_t>{-1};
  }

  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(GoldenVectorsTest, EncodesEveryLine) {
  const std::vector<json> rows = ReadRows(std::string(GetParam()) + ".encode.jsonl.gz");
  ASSERT_EQ(rows.size(), 1765u);
  for (const json& row : rows) {
    const std::string text = row["text"];
    const json& literal = row.contains("ids_literal") ? row["ids_literal"] : row["ids"];
    EXPECT_EQ(Ids(text, {}), row["ids"].get<std::vector<int32_t>>()) << row["id"] << row["cat"];
    EXPECT_EQ(Ids(text, {.special_tokens = SpecialTokens::kLiteral}),
              literal.get<std::vector<int32_t>>())
        << row["id"] << row["cat"];
  }
}

TEST_P(GoldenVectorsTest, FramesEveryLineByTheTokenizersOwnRule) {
  const bool is_opt = std::string(GetParam()) == "opt";
  for (const json& row : ReadRows(std::string(GetParam()) + ".encode.jsonl.gz")) {
    std::vector<int32_t> expected = row["ids"];
    if (is_opt) expected.insert(expected.begin(), 2);
    EXPECT_EQ(Ids(row["text"], {.frame = Frame::kDefault}), expected) << row["id"];
  }
}

TEST_P(GoldenVectorsTest, OffsetsAreWhereTheBytesOfATokenStand) {
  for (const json& row : ReadRows(std::string(GetParam()) + ".encode.jsonl.gz")) {
    const absl::StatusOr<Encoding> encoding =
        tokenizer_->Encode(row["text"].get<std::string>(), {});
    ASSERT_OK(encoding);
    ASSERT_EQ(encoding->ids.size(), encoding->offsets.size());
    int32_t offset = 0;
    for (size_t i = 0; i < encoding->ids.size(); ++i) {
      ASSERT_EQ(encoding->offsets[i], offset) << row["id"] << " token " << i;
      offset += static_cast<int32_t>(tokenizer_->TokenBytes(encoding->ids[i]).size());
    }
  }
}

TEST_P(GoldenVectorsTest, DecodesEveryLineAtOnceAndAsAStream) {
  const std::vector<json> rows = ReadRows(std::string(GetParam()) + ".decode.jsonl.gz");
  ASSERT_GT(rows.size(), 300u);
  for (const json& row : rows) {
    const std::vector<int32_t> ids = row["ids"];
    const std::string skipped = row["text_skip_special"];
    EXPECT_EQ(tokenizer_->Decode(ids, DecodeSpecial::kKeep), row["text"].get<std::string>());
    EXPECT_EQ(tokenizer_->Decode(ids, DecodeSpecial::kSkip), skipped);
    StreamDecoder decoder(*tokenizer_, {});
    std::string streamed;
    for (const int32_t id : ids) streamed += decoder.Push(id).text;
    EXPECT_EQ(streamed + decoder.Finish().text, skipped);
  }
}

TEST_P(GoldenVectorsTest, DecodingAnEncodingGivesTheTextBack) {
  const bool normalizes = std::string(GetParam()) == "gpt-neox-20b";
  for (const json& row : ReadRows(std::string(GetParam()) + ".encode.jsonl.gz")) {
    // NFC changes texts of the categories that are there for it.
    if (normalizes && !IsAscii(row["text"].get<std::string>())) continue;
    const std::string text = row["text"];
    EXPECT_EQ(tokenizer_->Decode(Ids(text, {}), DecodeSpecial::kKeep), text) << row["id"];
  }
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, GoldenVectorsTest,
                         ::testing::Values("opt", "gpt2", "gpt-neox-20b"), [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

// Cut at the end of a line, as an interrupted download leaves it.
TEST(RealTokenizerTest, HalfOfTheMergesIsRefused) {
  const std::filesystem::path folder = DataDir() / "tokenizers" / "opt";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no tokenizer at " << folder;
  const testing::TemporaryFolder cut;
  std::filesystem::copy(folder / "vocab.json", cut.path() / "vocab.json");
  std::ifstream merges(folder / "merges.txt");
  std::string half;
  for (std::string line; std::getline(merges, line) && half.size() < 200000;) half += line + "\n";
  cut.Write("merges.txt", half);
  EXPECT_THAT(LoadTokenizer(cut.path().string()),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                ::testing::HasSubstr("merges.txt has")));
}

TEST(RealTokenizerTest, OptKnowsItsOwnTokens) {
  const std::filesystem::path folder = DataDir() / "tokenizers" / "opt";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no tokenizer at " << folder;
  const absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = LoadTokenizer(folder.string());
  ASSERT_OK(tokenizer);
  EXPECT_EQ((*tokenizer)->vocab_size(), 50265);
  EXPECT_EQ((*tokenizer)->bos_id(), 2);
  EXPECT_EQ((*tokenizer)->eos_id(), 2);
  EXPECT_TRUE((*tokenizer)->IsSpecial(1));
  EXPECT_FALSE((*tokenizer)->IsSpecial(0));
  const absl::StatusOr<Encoding> encoding =
      (*tokenizer)->Encode("A photo of a cat", {.frame = Frame::kDefault});
  ASSERT_OK(encoding);
  EXPECT_EQ(encoding->ids, (std::vector<int32_t>{2, 250, 1345, 9, 10, 4758}));
}

}  // namespace
}  // namespace dyad
