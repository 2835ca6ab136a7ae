// The offline codec answers as a server of the same folder would.
#include "client/text_codec.h"

#include "gtest/gtest.h"
#include "tests/support/fake_service.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

class OfflineCodecTest : public ::testing::Test {
 protected:
  OfflineCodecTest() : codec_(*OfflineCodec(testing::DemoModelDir().string())) {}

  v1::TokenizeResponse Tokenize(const std::string& text) {
    request_.set_text(text);
    return *codec_.tokenize(request_);
  }

  TextCodec codec_;
  v1::TokenizeRequest request_;
};

TEST_F(OfflineCodecTest, AddsTheFrameUnlessToldNotTo) {
  const auto framed = Tokenize("Hello there");
  request_.set_add_special_tokens(false);
  const auto bare = Tokenize("Hello there");
  ASSERT_EQ(framed.ids_size(), bare.ids_size() + 1);
  EXPECT_EQ(framed.ids(0), 2);
  EXPECT_EQ(framed.texts(0), "</s>");
}

TEST_F(OfflineCodecTest, TextsJoinToTheText) {
  request_.set_add_special_tokens(false);
  const auto response = Tokenize("A cat, and a dog.");
  std::string joined;
  for (const std::string& text : response.texts()) joined += text;
  EXPECT_EQ(joined, "A cat, and a dog.");
  EXPECT_EQ(response.byte_offsets_size(), response.ids_size());
  EXPECT_EQ(response.byte_offsets(0), 0);
}

TEST_F(OfflineCodecTest, LiteralTurnsSpecialTokensIntoText) {
  request_.set_add_special_tokens(false);
  EXPECT_EQ(Tokenize("</s>").ids_size(), 1);
  request_.set_special_tokens(v1::SPECIAL_TOKENS_LITERAL);
  EXPECT_GT(Tokenize("</s>").ids_size(), 1);
}

TEST_F(OfflineCodecTest, DetokenizeKeepsSpecialTokensUnlessToldNotTo) {
  v1::DetokenizeRequest request;
  request.add_ids(2);
  EXPECT_EQ(codec_.detokenize(request)->text(), "</s>");
  request.set_skip_special_tokens(true);
  EXPECT_EQ(codec_.detokenize(request)->text(), "");
}

TEST_F(OfflineCodecTest, BadTextIsAnError) {
  request_.set_text("a\xff");
  EXPECT_EQ(codec_.tokenize(request_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TextCodecTest, AFolderWithoutTokenizerIsNotFound) {
  EXPECT_THAT(OfflineCodec(testing::FixturesDir().string()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no tokenizer files")));
}

TEST(TextCodecTest, AServerCodecAsksTheServer) {
  testing::FakeServer server;
  const TextCodec codec = ServerCodec(Client(*Connect({.server = server.address()})));
  v1::TokenizeRequest request;
  request.set_text("a");
  EXPECT_EQ(codec.tokenize(request)->ids(1), 'a');
}

}  // namespace
}  // namespace dyad::client
