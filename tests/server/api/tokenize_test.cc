// Tokenize and Detokenize without a wire. More cases: tests/server/grpc/tokenizer_service_test.cc.
#include "server/api/tokenize.h"

#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TokenizeTest : public ::testing::Test {
 protected:
  ByteTokenizer tokenizer_;
  const ModelRegistry models_{
      FakeModels(tokenizer_, {.vocab_size = kByteVocabulary, .context_length = 20}, nullptr)};
  RecordingObserver observer_;
  const ServerState state_{
      models_, {.max_prompt_bytes = 10, .max_send_message_bytes = 1000}, &observer_};
  Call call_{state_, {.method = "S/M"}};
};

TEST_F(TokenizeTest, GivesIdsTextsAndOffsets) {
  v1::TokenizeRequest request;
  request.set_model("bytes");
  request.set_text("the x");
  const auto response = Tokenize(request, call_);
  ASSERT_OK(response);
  EXPECT_THAT(response->ids(), ElementsAre(kEnd, kThe, ' ', 'x'));
  EXPECT_THAT(response->texts(), ElementsAre("</s>", "the", " ", "x"));
  EXPECT_THAT(response->byte_offsets(), ElementsAre(0, 0, 3, 4));
  EXPECT_EQ(call_.record().model, "bytes");
  EXPECT_EQ(call_.record().prompt, "the x");
}

TEST_F(TokenizeTest, ATextTooLongIsRefused) {
  v1::TokenizeRequest request;
  request.set_model("bytes");
  request.set_text(std::string(11, 'x'));
  EXPECT_THAT(Tokenize(request, call_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("text is 11 bytes")));
}

TEST_F(TokenizeTest, DetokenizeGoesBack) {
  v1::DetokenizeRequest request;
  request.set_model("bytes");
  for (const int32_t id : {kEnd, kThe, kSpaceA}) request.add_ids(id);
  EXPECT_EQ(Detokenize(request, call_)->text(), "</s>the a");
  request.set_skip_special_tokens(true);
  EXPECT_EQ(Detokenize(request, call_)->text(), "the a");
  request.set_model("ids");
  EXPECT_THAT(Detokenize(request, call_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("token ids only")));
}

TEST_F(TokenizeTest, ATextThatNoMessageHoldsIsNotMade) {
  v1::DetokenizeRequest request;
  request.set_model("bytes");
  for (int i = 0; i < 250; ++i) request.add_ids(kEnd);  // 4 bytes each
  EXPECT_OK(Detokenize(request, call_));
  request.add_ids('x');
  EXPECT_THAT(Detokenize(request, call_),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("the answer has 1001 bytes; the server's limit is 1000")));
  request.set_skip_special_tokens(true);
  EXPECT_EQ(Detokenize(request, call_)->text(), "x");
}

}  // namespace
}  // namespace dyad
