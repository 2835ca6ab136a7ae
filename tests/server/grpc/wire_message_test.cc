// What is no message, what is too large, and what is too large to answer: each method through a
// real channel.
#include "server/grpc/wire_message.h"

#include "tests/server/grpc/service_fixture.h"
#include "tests/support/for_stream.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kCutShort[] =
    "\x0a\x7f"
    "ab";  // a field of 127 bytes that has 2
constexpr char kNoProtobuf[] = "\xff\xff\xff";
constexpr char kNoUtf8[] =
    "\x0a\x02"
    "A\xe9";  // the field `model`

grpc::ByteBuffer Bytes(const std::string& text) {
  const grpc::Slice slice(text);
  return {&slice, 1};
}

// A request of each method, in the order of kMethods, whose answer is large.
std::vector<std::string> RequestBytes() {
  v1::GenerateRequest generate;
  generate.set_model("bytes");
  generate.set_text("the cats");
  generate.set_max_new_tokens(100);
  generate.set_ignore_eos(true);
  v1::ScoreRequest score;
  score.set_model("bytes");
  score.add_items()->set_text("the cats sleep");
  v1::ScoreMinimalPairsRequest pairs;
  pairs.set_model("bytes");
  pairs.add_pairs()->set_good("the cats");
  pairs.mutable_pairs(0)->set_bad("the cat");
  v1::TokenizeRequest tokenize;
  tokenize.set_model("bytes");
  tokenize.set_text("the cats sleep");
  v1::DetokenizeRequest detokenize;
  detokenize.set_model("bytes");
  for (int i = 0; i < 30; ++i) detokenize.add_ids('x');
  v1::GetModelRequest get_model;
  get_model.set_model("bytes");
  return {generate.SerializeAsString(),
          ForStream(generate).SerializeAsString(),
          score.SerializeAsString(),
          pairs.SerializeAsString(),
          tokenize.SerializeAsString(),
          detokenize.SerializeAsString(),
          v1::ListModelsRequest().SerializeAsString(),
          get_model.SerializeAsString(),
          v1::GetServerInfoRequest().SerializeAsString()};
}

TEST(WireMessageTest, ReadsWhatWasWritten) {
  v1::GetModelRequest request;
  request.set_model("m");
  const auto bytes = WriteMessage(request, {});
  ASSERT_OK(bytes);
  EXPECT_EQ(ReadMessage<v1::GetModelRequest>(*bytes, 1, {})->model(), "m");
  EXPECT_OK(ReadMessage<v1::GetModelRequest>(Bytes(""), 1, {})) << "an empty message is one";
}

TEST(WireMessageTest, SaysWhichMessageCannotBeRead) {
  for (const std::string bytes : {kCutShort, kNoProtobuf, kNoUtf8}) {
    EXPECT_THAT(ReadMessage<v1::GetModelRequest>(Bytes(bytes), 7, {}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("message 7 cannot be read: it is no dyad.v1.GetModelRequest")));
  }
  EXPECT_THAT(ReadMessage<v1::GetModelRequest>(grpc::ByteBuffer(), 1, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cannot be read")));
}

TEST(WireMessageTest, EveryMethodSaysThatItCannotReadAMessage) {
  Stack stack;
  size_t calls = 0;
  for (const std::string method : kMethods) {
    for (const std::string bytes : {kCutShort, kNoProtobuf, kNoUtf8}) {
      const bool has_no_field =
          method == "ModelService/ListModels" || method == "ServerService/GetServerInfo";
      if (has_no_field && bytes == kNoUtf8) continue;
      const RawAnswer answer = CallRaw(stack, method, {bytes});
      EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << method;
      EXPECT_THAT(answer.status.error_message(), HasSubstr("message 1 cannot be read")) << method;
      EXPECT_EQ(Reason(answer.status), "dyad.v1 UNREADABLE_MESSAGE");
      const RpcRecord record = stack.observer.Await(calls++);
      EXPECT_EQ(record.method, method);
      EXPECT_EQ(record.code, "INVALID_ARGUMENT");
      EXPECT_EQ(record.message, answer.status.error_message());
      EXPECT_EQ(record.request_id, answer.request_id);
    }
  }
}

TEST(WireMessageTest, ALaterMessageThatCannotBeReadDoesNotEndTheStreamWithOk) {
  Stack stack;
  const std::string good = RequestBytes()[3];
  const RawAnswer answer =
      CallRaw(stack, "ScoringService/ScoreMinimalPairs", {good, good, kNoUtf8, good});
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(answer.status.error_message(), HasSubstr("message 3 cannot be read"));
  int results = 0;
  for (const std::string& message : answer.messages) {
    v1::ScoreMinimalPairsResponse response;
    ASSERT_TRUE(response.ParseFromString(message));
    results += response.results_size();
  }
  EXPECT_EQ(results, 2) << "what came before is answered";
  EXPECT_EQ(stack.observer.Await(0).code, "INVALID_ARGUMENT");
}

TEST(WireMessageTest, EveryMethodRefusesAMessageThatIsTooLarge) {
  StackOptions options;
  options.limits.max_receive_message_bytes = 2000;
  Stack stack(options);
  v1::GetModelRequest named;  // `model` is field 1 of all
  named.set_model(std::string(2000, 'm'));
  size_t calls = 0;
  for (const std::string method : kMethods) {
    const RawAnswer answer = CallRaw(stack, method, {named.SerializeAsString()});
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << method;
    EXPECT_THAT(answer.status.error_message(),
                HasSubstr("message 1 has 2003 bytes; the server's limit is 2000"));
    EXPECT_EQ(Reason(answer.status), "dyad.v1 MESSAGE_TOO_LARGE");
    EXPECT_EQ(answer.pushback, "-1") << "trying again does not help";
    const RpcRecord record = stack.observer.Await(calls++);
    EXPECT_EQ(record.method, method);
    EXPECT_EQ(record.code, "RESOURCE_EXHAUSTED");
  }
}

TEST(WireMessageTest, EveryMethodRecordsAnAnswerThatCannotBeSent) {
  StackOptions options;
  options.limits.max_send_message_bytes = 20;
  Stack stack(options);
  const std::vector<std::string> requests = RequestBytes();
  for (size_t i = 0; i < requests.size(); ++i) {
    const RawAnswer answer = CallRaw(stack, kMethods[i], {requests[i]});
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << kMethods[i];
    EXPECT_EQ(Reason(answer.status), "dyad.v1 ANSWER_TOO_LARGE") << kMethods[i];
    const auto info = FindDetail<google::rpc::ErrorInfo>(answer.status);
    ASSERT_TRUE(info.has_value());
    EXPECT_EQ(info->metadata().at("limit"), "20");
    EXPECT_THAT(answer.messages, IsEmpty());
    const RpcRecord record = stack.observer.Await(i);
    EXPECT_EQ(record.method, kMethods[i]);
    EXPECT_EQ(record.code, "RESOURCE_EXHAUSTED");
    if (i < 3) {
      EXPECT_EQ(stack.model.steps(), 0) << "refused before the work";
    }
  }
  EXPECT_TRUE(stack.ComesToRest());
}

TEST(WireMessageTest, AStreamEndsWithTheMessageThatCannotBeSent) {
  StackOptions options;
  options.limits.max_send_message_bytes = 40;  // pieces fit, the last message does not
  Stack stack(options);
  v1::GenerateRequest request;
  request.set_model("bytes");
  request.set_text("the cats");
  request.set_max_new_tokens(3);
  const RawAnswer answer =
      CallRaw(stack, "GenerationService/GenerateStream", {ForStream(request).SerializeAsString()});
  EXPECT_EQ(Reason(answer.status), "dyad.v1 ANSWER_TOO_LARGE");
  EXPECT_EQ(stack.observer.Await(0).code, "RESOURCE_EXHAUSTED");
  EXPECT_TRUE(stack.ComesToRest());
}

TEST(WireMessageTest, AMethodThatThereIsNoneOfIsRecorded) {
  Stack stack;
  const RawAnswer answer = CallRaw(stack, "ScoringService/Guess", {"x"});
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(answer.status.error_message(), HasSubstr("/dyad.v1.ScoringService/Guess"));
  const RpcRecord record = stack.observer.Await(0);
  EXPECT_EQ(record.method, "unknown");
  EXPECT_EQ(record.code, "UNIMPLEMENTED");
}

}  // namespace
}  // namespace dyad
