// Generate over a real server and engine, with a model that spells what it is told.
#include <set>

#include "server/grpc/unary_call.h"
#include "tests/server/grpc/service_fixture.h"
#include "tests/support/eventually.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::GenerateRequest TextRequest(const std::string& text) {
  v1::GenerateRequest request;
  request.set_model("bytes");
  request.set_text(text);
  return request;
}

// A model that goes on with `text` after </s> and "x".
StackOptions Spelling(const std::string& text, bool end = true) {
  StackOptions options;
  std::vector<int32_t> ids = Ids(text);
  if (end) ids.push_back(kEnd);
  options.model.spellings = {{{kEnd, 'x'}, ids}};
  return options;
}

struct Answer {
  grpc::Status status;
  v1::GenerateResponse response;
};
Answer Generate(Stack& stack, const v1::GenerateRequest& request) {
  Answer answer;
  grpc::ClientContext context;
  answer.status = stack.generation->Generate(&context, request, &answer.response);
  return answer;
}

TEST(GenerateCallTest, GoesOnUntilTheEnd) {
  Stack stack(Spelling(" the end"));
  v1::GenerateRequest request = TextRequest("x");
  const Answer answer = Generate(stack, request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  ASSERT_EQ(answer.response.choices_size(), 1);
  const v1::Choice& choice = answer.response.choices(0);
  EXPECT_EQ(choice.text(), " the end");
  EXPECT_THAT(choice.ids(), ElementsAre(kSpaceThe, ' ', 'e', 'n', 'd', kEnd));
  EXPECT_EQ(choice.finish_reason(), v1::FINISH_REASON_EOS);
  EXPECT_THAT(choice.logprobs(), IsEmpty());
  EXPECT_EQ(answer.response.model_digest(), "d1");
  EXPECT_EQ(answer.response.usage().prompt_tokens(), 2);
  EXPECT_EQ(answer.response.usage().generated_tokens(), 6);
  const RpcRecord record = stack.observer.Await(0);
  EXPECT_EQ(record.method, "GenerationService/Generate");
  EXPECT_EQ(record.finish_reason, "eos");
  EXPECT_EQ(record.generated_tokens, 6);
  EXPECT_EQ(record.prompt, "x");
  EXPECT_GT(record.total, absl::ZeroDuration());
}

TEST(GenerateCallTest, SixteenTokensByDefault) {
  Stack stack;
  v1::GenerateRequest request = TextRequest("q");
  request.set_ignore_eos(true);
  const Answer answer = Generate(stack, request);
  ASSERT_TRUE(answer.status.ok());
  EXPECT_EQ(ToVector(answer.response.choices(0).ids()),
            stack.model.ExpectedGreedy({kEnd, 'q'}, 16));
  EXPECT_EQ(answer.response.choices(0).finish_reason(), v1::FINISH_REASON_LENGTH);
}

TEST(GenerateCallTest, AStopStringMayCrossTokens) {
  Stack stack(Spelling("one the two"));
  v1::GenerateRequest request = TextRequest("x");
  request.add_stop("zzz");
  request.add_stop("e t");
  const Answer answer = Generate(stack, request);
  ASSERT_TRUE(answer.status.ok());
  const v1::Choice& choice = answer.response.choices(0);
  EXPECT_EQ(choice.text(), "on");
  EXPECT_EQ(choice.finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_THAT(choice.ids(), ElementsAre('o', 'n', 'e', kSpaceThe));  // up to the one that showed it
}

TEST(GenerateCallTest, AHeldBackBeginningOfAStopStringIsGivenAtTheEnd) {
  Stack stack(Spelling("ab"));
  v1::GenerateRequest request = TextRequest("x");
  request.add_stop("abc");
  EXPECT_EQ(Generate(stack, request).response.choices(0).text(), "ab");
}

TEST(GenerateCallTest, AStopIdEndsAndIsKept) {
  Stack stack(Spelling("one"));
  v1::GenerateRequest request = TextRequest("x");
  request.add_stop_ids('n');
  const Answer answer = Generate(stack, request);
  EXPECT_THAT(answer.response.choices(0).ids(), ElementsAre('o', 'n'));
  EXPECT_EQ(answer.response.choices(0).finish_reason(), v1::FINISH_REASON_STOP);
}

TEST(GenerateCallTest, ASeedIsDrawnAndReturnedAndRepeats) {
  Stack stack;
  v1::GenerateRequest request = TextRequest("q");
  request.set_temperature(1.5);
  request.set_n(3);
  const Answer first = Generate(stack, request);
  ASSERT_TRUE(first.status.ok());
  const Answer other = Generate(stack, request);
  EXPECT_NE(first.response.seed(), other.response.seed());

  request.set_seed(first.response.seed());
  const Answer again = Generate(stack, request);
  EXPECT_EQ(again.response.seed(), first.response.seed());
  std::set<std::string> texts;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(again.response.choices(i).index(), i);
    EXPECT_EQ(ToVector(again.response.choices(i).ids()), ToVector(first.response.choices(i).ids()));
    texts.insert(first.response.choices(i).SerializeAsString().substr(2));
  }
  EXPECT_EQ(texts.size(), 3u) << "choices of one seed differ";
}

TEST(GenerateCallTest, EchoPutsThePromptInFront) {
  Stack stack(Spelling("yz"));
  v1::GenerateRequest request = TextRequest("x");
  request.set_echo(true);
  request.set_logprobs(2);
  const Answer answer = Generate(stack, request);
  ASSERT_TRUE(answer.status.ok());
  const v1::Choice& choice = answer.response.choices(0);
  EXPECT_EQ(choice.text(), "xyz");
  EXPECT_THAT(choice.ids(), ElementsAre(kEnd, 'x', 'y', 'z', kEnd));
  ASSERT_EQ(choice.logprobs_size(), 5);
  const std::vector<int32_t> ids = ToVector(choice.ids());
  const auto expected = stack.model.ExpectedScores(ids, 1, 2);
  EXPECT_EQ(choice.logprobs(0).id(), kEnd);
  EXPECT_EQ(choice.logprobs(0).logprob(), 0);
  EXPECT_THAT(choice.logprobs(0).top(), IsEmpty());
  for (int i = 1; i < 5; ++i) {
    EXPECT_EQ(choice.logprobs(i).id(), ids[i]);
    EXPECT_EQ(choice.logprobs(i).logprob(), expected[i - 1].logprob) << i;
    ASSERT_EQ(choice.logprobs(i).top_size(), 2) << i;
    EXPECT_EQ(choice.logprobs(i).top(0).id(), expected[i - 1].top[0].id);
  }
  EXPECT_EQ(choice.logprobs(2).top(0).text(), "y");
}

TEST(GenerateCallTest, EchoOfOneIdHasOneEntryPerId) {
  Stack stack;
  v1::GenerateRequest request;
  request.set_model("ids");
  request.mutable_ids()->add_ids(7);
  request.set_echo(true);
  request.set_logprobs(0);
  request.set_max_new_tokens(2);
  const Answer answer = Generate(stack, request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.response.choices(0).ids_size(), 3);
  EXPECT_EQ(answer.response.choices(0).logprobs_size(), 3);
  EXPECT_EQ(answer.response.choices(0).text(), "");
}

TEST(GenerateCallTest, ErrorsNameTheField) {
  Stack stack;
  v1::GenerateRequest request = TextRequest("x");
  request.set_temperature(-1);
  const Answer answer = Generate(stack, request);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(BadField(answer.status), "temperature");
  EXPECT_EQ(Reason(answer.status), "dyad.v1 INVALID_FIELD");
  request.set_model("none");
  EXPECT_EQ(Reason(Generate(stack, request).status), "dyad.v1 MODEL_NOT_FOUND");
}

TEST(GenerateCallTest, ACancelledCallFreesItsPages) {
  StackOptions options;
  options.model.step_time = std::chrono::milliseconds(2);
  Stack stack(options);
  v1::GenerateRequest request = TextRequest("q");
  request.set_max_new_tokens(250);
  request.set_ignore_eos(true);
  request.set_n(4);
  grpc::ClientContext context;
  v1::GenerateResponse response;
  grpc::Status status;
  std::thread caller([&] { status = stack.generation->Generate(&context, request, &response); });
  EXPECT_TRUE(testing::Eventually([&] { return stack.engine->Status().running >= 4; }));
  context.TryCancel();
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(stack.observer.Await(0).code, "CANCELLED");
  EXPECT_TRUE(stack.ComesToRest());
  EXPECT_LT(stack.model.steps(), 250);
}

TEST(GenerateCallTest, DrainingRefusesTheNewAndEndsTheOld) {
  Gate gate;  // whatever the machine does, the old one runs when the server begins to end
  StackOptions options;
  options.model.before_step = [&](int64_t) {
    gate.Pass();
    return absl::OkStatus();
  };
  Stack stack(options);
  v1::GenerateRequest request = TextRequest("q");
  request.set_max_new_tokens(20);
  request.set_ignore_eos(true);
  Answer old;
  std::thread caller([&] { old = Generate(stack, request); });
  gate.AwaitArrivals(1);
  stack.state.draining = true;
  const Answer refused = Generate(stack, request);
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Reason(refused.status), "dyad.v1 DRAINING");
  gate.Open();
  caller.join();
  EXPECT_TRUE(old.status.ok());
  EXPECT_EQ(old.response.choices(0).ids_size(), 20);
}

}  // namespace
}  // namespace dyad
