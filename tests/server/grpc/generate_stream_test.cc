// GenerateStream over a real server: the pieces, joined, are what Generate answers; slow and
// leaving readers do no harm.
#include "server/grpc/generate_stream.h"

#include <map>

#include "server/text/utf8.h"
#include "tests/server/grpc/service_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/for_stream.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;

struct Streamed {
  grpc::Status status;
  std::vector<v1::GenerateStreamResponse> messages;
  std::map<int32_t, v1::Choice> choices;  // by index: all pieces of one, joined
};

Streamed Stream(Stack& stack, const v1::GenerateRequest& request) {
  Streamed result;
  grpc::ClientContext context;
  auto reader = stack.generation->GenerateStream(&context, ForStream(request));
  v1::GenerateStreamResponse message;
  while (reader->Read(&message)) {
    result.messages.push_back(message);
    if (message.has_choice()) result.choices[message.choice().index()].MergeFrom(message.choice());
  }
  result.status = reader->Finish();
  return result;
}

// MergeFrom replaces strings: join them by hand.
std::string TextOf(const Streamed& streamed, int32_t index) {
  std::string text;
  for (const auto& message : streamed.messages) {
    if (message.has_choice() && message.choice().index() == index) text += message.choice().text();
  }
  return text;
}

v1::GenerateRequest Request(int32_t choices, int32_t tokens) {
  v1::GenerateRequest request;
  request.set_model("bytes");
  request.set_text("q");
  request.set_n(choices);
  request.set_max_new_tokens(tokens);
  request.set_temperature(1.2);
  request.set_seed(5);
  request.set_logprobs(1);
  request.set_echo(true);
  request.set_ignore_eos(true);
  return request;
}

TEST(GenerateStreamTest, PiecesJoinedAreTheUnaryAnswer) {
  Stack stack;
  const v1::GenerateRequest request = Request(5, 40);
  v1::GenerateResponse unary;
  grpc::ClientContext context;
  ASSERT_TRUE(stack.generation->Generate(&context, request, &unary).ok());
  stack.observer.Await(0);
  const Streamed streamed = Stream(stack, request);
  ASSERT_TRUE(streamed.status.ok()) << streamed.status.error_message();
  ASSERT_EQ(streamed.choices.size(), 5u);
  for (int i = 0; i < 5; ++i) {
    v1::Choice choice = streamed.choices.at(i);
    choice.set_text(TextOf(streamed, i));
    EXPECT_EQ(choice.SerializeAsString(), unary.choices(i).SerializeAsString()) << i;
  }
  const v1::GenerateStreamResponse& last = streamed.messages.back();
  EXPECT_FALSE(last.has_choice());
  ASSERT_TRUE(last.has_final());
  EXPECT_EQ(last.final().choices_size(), 0);
  EXPECT_EQ(last.final().seed(), 5u);
  EXPECT_EQ(last.final().usage().generated_tokens(), 200);
  EXPECT_EQ(last.final().model_digest(), "d1");
  EXPECT_EQ(stack.observer.Await(1).method, "GenerationService/GenerateStream");
}

TEST(GenerateStreamTest, PiecesNeverSplitACharacterAndEndOnce) {
  StackOptions options;
  const std::string text = "aé€😀z";
  std::vector<int32_t> ids = Ids(text);
  ids.push_back(kEnd);
  options.model.spellings = {{{kEnd, 'x'}, ids}};
  options.model.step_time = std::chrono::milliseconds(3);  // so that pieces are small
  Stack stack(options);
  v1::GenerateRequest request;
  request.set_model("bytes");
  request.set_text("x");
  const Streamed streamed = Stream(stack, request);
  ASSERT_TRUE(streamed.status.ok());
  EXPECT_EQ(TextOf(streamed, 0), text);
  int ends = 0;
  for (const auto& message : streamed.messages) {
    EXPECT_FALSE(FirstInvalidByte(message.choice().text()).has_value());
    if (message.choice().finish_reason() != v1::FINISH_REASON_UNSPECIFIED) ++ends;
  }
  EXPECT_EQ(ends, 1);
  EXPECT_EQ(streamed.messages[streamed.messages.size() - 2].choice().finish_reason(),
            v1::FINISH_REASON_EOS);
  EXPECT_GT(streamed.messages.size(), 4u);
}

TEST(GenerateStreamTest, ASlowReaderGetsFewerLargerMessages) {
  Stack stack;
  v1::GenerateRequest request = Request(16, 200);
  request.set_logprobs(20);
  const auto stub = v1::GenerationService::NewStub(stack.NarrowChannel());
  grpc::ClientContext context;
  auto reader = stub->GenerateStream(&context, ForStream(request));
  EXPECT_TRUE(
      testing::Eventually([&] { return stack.metrics.finished >= 16; }));  // nobody reads meanwhile
  v1::GenerateStreamResponse message;
  int messages = 0;
  int ids = 0;
  while (reader->Read(&message)) {
    ++messages;
    ids += message.choice().ids_size();
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(ids, 16 * (200 + 2));
  EXPECT_LT(messages, 16 * 200 / 4);
}

TEST(GenerateStreamTest, AReaderThatLeavesFreesItsPages) {
  StackOptions options;
  options.model.step_time = std::chrono::milliseconds(2);
  Stack stack(options);
  {
    grpc::ClientContext context;
    auto reader = stack.generation->GenerateStream(&context, ForStream(Request(3, 250)));
    v1::GenerateStreamResponse message;
    ASSERT_TRUE(reader->Read(&message));
    context.TryCancel();
    while (reader->Read(&message)) continue;
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_TRUE(stack.ComesToRest());
  EXPECT_EQ(stack.observer.Await(0).code, "CANCELLED");
  EXPECT_LT(stack.model.steps(), 250);
}

TEST(GenerateStreamTest, RefusalsComeAsStatusBeforeAnyMessage) {
  Stack stack;
  v1::GenerateRequest request = Request(1, 4);
  request.set_n(17);
  const Streamed bad = Stream(stack, request);
  EXPECT_EQ(bad.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(BadField(bad.status), "n");
  EXPECT_TRUE(bad.messages.empty());
  stack.observer.Await(0);
  stack.state.draining = true;
  const Streamed late = Stream(stack, Request(1, 4));
  EXPECT_EQ(late.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(stack.observer.Await(1).code, "UNAVAILABLE");
}

TEST(GenerateStreamTest, AFailureMidwayIsTheStatusAfterWhatWasMade) {
  StackOptions options;
  options.model.before_step = [](int64_t step) {
    return step < 5 ? absl::OkStatus() : absl::InternalError("the device is gone");
  };
  Stack stack(options);
  v1::GenerateRequest request = Request(2, 50);
  request.set_echo(false);
  const Streamed streamed = Stream(stack, request);
  EXPECT_EQ(streamed.status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(streamed.status.error_message(), HasSubstr("the device is gone"));
  ASSERT_FALSE(streamed.messages.empty());
  EXPECT_FALSE(streamed.messages.back().has_final());
  EXPECT_TRUE(stack.ComesToRest());
}

}  // namespace
}  // namespace dyad
