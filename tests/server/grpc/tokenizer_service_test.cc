// Tokenize and Detokenize over a real server.
#include "tests/server/grpc/service_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;

class TokenizerServiceTest : public ::testing::Test {
 protected:
  TokenizerServiceTest() { request_.set_model("bytes"); }
  grpc::Status Tokenize() {
    grpc::ClientContext context;
    return stack_.tokens->Tokenize(&context, request_, &response_);
  }
  grpc::Status Detokenize(const v1::DetokenizeRequest& request) {
    grpc::ClientContext context;
    return stack_.tokens->Detokenize(&context, request, &text_);
  }

  Stack stack_;
  v1::TokenizeRequest request_;
  v1::TokenizeResponse response_;
  v1::DetokenizeResponse text_;
};

TEST_F(TokenizerServiceTest, TheFrameIsTheDefault) {
  request_.set_text("the é");
  ASSERT_TRUE(Tokenize().ok());
  EXPECT_THAT(response_.ids(), ElementsAre(kEnd, kThe, ' ', 0xC3, 0xA9));
  EXPECT_THAT(response_.texts(), ElementsAre("</s>", "the", " ", "\uFFFD", "\uFFFD"));
  EXPECT_THAT(response_.byte_offsets(), ElementsAre(0, 0, 3, 4, 5));
  request_.set_add_special_tokens(false);
  ASSERT_TRUE(Tokenize().ok());
  EXPECT_EQ(response_.ids_size(), 4);
  EXPECT_EQ(stack_.observer.Await(1).method, "TokenizerService/Tokenize");
}

TEST_F(TokenizerServiceTest, SpecialTokensAreParsedUnlessLiteral) {
  request_.set_text("</s>");
  request_.set_add_special_tokens(false);
  ASSERT_TRUE(Tokenize().ok());
  EXPECT_THAT(response_.ids(), ElementsAre(kEnd));
  request_.set_special_tokens(v1::SPECIAL_TOKENS_LITERAL);
  ASSERT_TRUE(Tokenize().ok());
  EXPECT_EQ(response_.ids_size(), 4);
}

TEST_F(TokenizerServiceTest, EmptyTextIsTheFrameAlone) {
  ASSERT_TRUE(Tokenize().ok());
  EXPECT_THAT(response_.ids(), ElementsAre(kEnd));
}

TEST_F(TokenizerServiceTest, DetokenizeKeepsOrSkipsSpecialTokens) {
  v1::DetokenizeRequest request;
  request.set_model("bytes");
  for (const int32_t id : {kEnd, kThe, 0xC3}) request.add_ids(id);
  ASSERT_TRUE(Detokenize(request).ok());
  EXPECT_EQ(text_.text(), "</s>the\uFFFD");
  request.set_skip_special_tokens(true);
  ASSERT_TRUE(Detokenize(request).ok());
  EXPECT_EQ(text_.text(), "the\uFFFD");
  request.add_ids(kByteVocabulary);
  EXPECT_EQ(BadField(Detokenize(request)), "ids[3]");
}

TEST_F(TokenizerServiceTest, AModelWithoutTokenizerSaysSo) {
  request_.set_model("ids");
  EXPECT_EQ(Reason(Tokenize()), "dyad.v1 NO_TOKENIZER");
  v1::DetokenizeRequest request;
  request.set_model("ids");
  const grpc::Status status = Detokenize(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

}  // namespace
}  // namespace dyad
