// Score over a real server: every field of the answer against what the fake model is known to say.
#include "server/grpc/unary_call.h"
#include "tests/server/grpc/service_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::ScoreRequest TextsRequest(std::vector<std::string> texts) {
  v1::ScoreRequest request;
  request.set_model("bytes");
  for (std::string& text : texts) request.add_items()->set_text(std::move(text));
  return request;
}

TEST(ScoreCallTest, FillsEveryVector) {
  Stack stack;
  v1::ScoreRequest request = TextsRequest({"the x"});
  v1::ScoreResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stack.scoring->Score(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();

  const std::vector<int32_t> ids = {kEnd, kSpaceThe, ' ', 'x'};
  const auto expected = stack.model.ExpectedScores(ids, 1, 0);
  ASSERT_EQ(response.scores_size(), 1);
  const v1::TextScore& score = response.scores(0);
  EXPECT_EQ(ToVector(score.ids()), ids);
  EXPECT_THAT(score.scored(), ElementsAre(false, true, true, true));
  EXPECT_THAT(score.texts(), ElementsAre("</s>", " the", " ", "x"));
  EXPECT_THAT(score.byte_offsets(), ElementsAre(0, 0, 4, 5));
  EXPECT_THAT(score.top(), IsEmpty());
  double sum = 0;
  for (int i = 1; i < 4; ++i) {
    EXPECT_EQ(score.logprobs(i), expected[i - 1].logprob);
    EXPECT_EQ(score.ranks(i), expected[i - 1].rank);
    EXPECT_EQ(score.greedy(i), expected[i - 1].rank == 1);
    sum += expected[i - 1].logprob;
  }
  EXPECT_EQ(score.sum(), sum);
  EXPECT_EQ(score.mean(), sum / 3);
  EXPECT_EQ(score.scored_tokens(), 3);
  EXPECT_EQ(response.convention(), v1::CONVENTION_LM_EVAL);
  EXPECT_EQ(response.model(), "bytes");
  EXPECT_EQ(response.model_digest(), "d1");
  EXPECT_EQ(response.usage().prompt_tokens(), 4);
  EXPECT_EQ(response.request_id(), Trailer(context, "x-request-id"));
  EXPECT_EQ(response.request_id().size(), 32u);

  const RpcRecord record = stack.observer.Await(0);
  EXPECT_EQ(record.method, "ScoringService/Score");
  EXPECT_EQ(record.code, "OK");
  EXPECT_EQ(record.model, "bytes");
  EXPECT_EQ(record.prompt, "the x");
  EXPECT_EQ(record.prompt_tokens, 4);
  EXPECT_EQ(record.scored_tokens, 3);
  EXPECT_EQ(record.request_id, response.request_id());
}

TEST(ScoreCallTest, GreedyIsRankOne) {
  StackOptions options;
  options.model.spellings = {{{kEnd}, {kSpaceA, 'b'}}};
  Stack stack(options);
  v1::ScoreResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stack.scoring->Score(&context, TextsRequest({"ab"}), &response).ok());
  EXPECT_THAT(response.scores(0).greedy(), ElementsAre(false, true, true));
  EXPECT_THAT(response.scores(0).ranks(), ElementsAre(0, 1, 1));
}

TEST(ScoreCallTest, AnswersInOrderOfItemsWhateverTheirLength) {
  Stack stack;
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) texts.push_back(std::string(1 + i * 37 % 200, 'a' + i % 26));
  v1::ScoreResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stack.scoring->Score(&context, TextsRequest(texts), &response).ok());
  ASSERT_EQ(response.scores_size(), 300);
  for (int i = 0; i < 300; ++i) {
    std::vector<int32_t> ids = Ids(" " + texts[i]);
    ids.insert(ids.begin(), kEnd);
    ASSERT_EQ(ToVector(response.scores(i).ids()), ids) << i;
    double sum = 0;
    for (const auto& score : stack.model.ExpectedScores(ids, 1, 0)) sum += score.logprob;
    ASSERT_EQ(response.scores(i).sum(), sum) << i;
  }
  EXPECT_TRUE(stack.ComesToRest());
}

TEST(ScoreCallTest, TopTokensComeWithTheirText) {
  Stack stack;
  v1::ScoreRequest request = TextsRequest({"xy"});
  request.set_convention(v1::CONVENTION_MINICONS_MEAN);
  request.set_top_n(3);
  v1::ScoreResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stack.scoring->Score(&context, request, &response).ok());
  const auto expected = stack.model.ExpectedScores(std::vector<int32_t>{kEnd, 'x', 'y'}, 1, 3);
  ASSERT_EQ(response.scores(0).top_size(), 3);
  EXPECT_THAT(response.scores(0).top(0).tokens(), IsEmpty());
  ASSERT_EQ(response.scores(0).top(1).tokens_size(), 3);
  for (int i = 0; i < 3; ++i) {
    const v1::TopToken& top = response.scores(0).top(1).tokens(i);
    EXPECT_EQ(top.id(), expected[0].top[i].id);
    EXPECT_EQ(top.logprob(), expected[0].top[i].logprob);
    const int32_t id = top.id();
    EXPECT_EQ(top.text(), stack.tokenizer.Decode(std::span(&id, 1), DecodeSpecial::kKeep));
  }
  EXPECT_EQ(response.convention(), v1::CONVENTION_MINICONS_MEAN);
}

TEST(ScoreCallTest, NothingLeftAfterAContextIsRefused) {
  Stack stack;
  v1::ScoreRequest request = TextsRequest({"he"});
  request.mutable_items(0)->set_context_text("x t");  // 3 tokens, and 2 with the text
  v1::ScoreResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stack.scoring->Score(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(BadField(status), "items[0].text");
  EXPECT_EQ(stack.model.steps(), 0);
}

TEST(ScoreCallTest, OneIdScoresNothing) {
  Stack stack;
  v1::ScoreRequest request;
  request.set_model("bytes");
  request.add_items()->mutable_ids()->add_ids(7);
  v1::ScoreResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stack.scoring->Score(&context, request, &response).ok());
  EXPECT_THAT(response.scores(0).ids(), ElementsAre(7));
  EXPECT_THAT(response.scores(0).scored(), ElementsAre(false));
  EXPECT_EQ(response.scores(0).sum(), 0);
  EXPECT_EQ(response.scores(0).mean(), 0);
  EXPECT_EQ(stack.model.steps(), 0);
}

TEST(ScoreCallTest, AModelWithoutTokenizerScoresIdsOnly) {
  Stack stack;
  v1::ScoreRequest request;
  request.set_model("ids");
  for (const int32_t id : {5, 6, 7}) request.add_items()->mutable_ids()->add_ids(id);
  request.mutable_items(0)->mutable_ids()->add_ids(9);
  v1::ScoreResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stack.scoring->Score(&context, request, &response).ok());
  EXPECT_EQ(response.scores(0).logprobs(1),
            stack.model.ExpectedScores(std::vector<int32_t>{5, 9}, 1, 0)[0].logprob);
  EXPECT_THAT(response.scores(0).texts(), IsEmpty());
  EXPECT_THAT(response.scores(0).byte_offsets(), IsEmpty());

  request = TextsRequest({"x"});
  request.set_model("ids");
  grpc::ClientContext second;
  const grpc::Status status = stack.scoring->Score(&second, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("serves token ids only"));
  EXPECT_EQ(Reason(status), "dyad.v1 NO_TOKENIZER");
}

TEST(ScoreCallTest, OneBadItemFailsTheRequest) {
  Stack stack;
  v1::ScoreRequest request = TextsRequest({"x", std::string(300, 'y')});
  v1::ScoreResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stack.scoring->Score(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(BadField(status), "items[1].text");
  EXPECT_THAT(status.error_message(), HasSubstr("302 tokens"));
  EXPECT_THAT(status.error_message(), HasSubstr("256 tokens"));
  EXPECT_EQ(stack.observer.Await(0).code, "INVALID_ARGUMENT");
}

TEST(ScoreCallTest, AFullQueueSaysWhenToComeBack) {
  Gate gate;
  StackOptions options;
  options.model.before_step = [&](int64_t) {
    gate.Pass();
    return absl::OkStatus();
  };
  options.engine.max_queued_requests = 2;
  options.engine.max_running_sequences = 1;
  Stack stack(options);
  v1::ScoreResponse held_response;
  grpc::ClientContext held_context;
  grpc::Status held;
  std::thread holder([&] {
    held =
        stack.scoring->Score(&held_context, TextsRequest({"running", "waiting"}), &held_response);
  });
  gate.AwaitArrivals(1);

  v1::ScoreResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stack.scoring->Score(&context, TextsRequest({"1", "2"}), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Reason(status), "dyad.v1 QUEUE_FULL");
  const auto retry = FindDetail<google::rpc::RetryInfo>(status).value_or(google::rpc::RetryInfo());
  const std::string pushback = Trailer(context, "grpc-retry-pushback-ms");
  EXPECT_EQ(pushback, absl::StrCat(retry.retry_delay().seconds() * 1000 +
                                   retry.retry_delay().nanos() / 1'000'000));
  EXPECT_EQ(pushback, "1000") << "no step has ended yet";
  EXPECT_TRUE(context.GetServerInitialMetadata().empty());
  gate.Open();
  holder.join();
  EXPECT_TRUE(held.ok()) << held.error_message();
}

TEST(ScoreCallTest, ADeadlineEndsTheWork) {
  StackOptions options;
  options.model.step_time = std::chrono::milliseconds(20);
  options.engine.max_batch_tokens = 1;
  Stack stack(options);
  v1::ScoreResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
  const grpc::Status status =
      stack.scoring->Score(&context, TextsRequest({std::string(200, 'x')}), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(stack.ComesToRest());
}

TEST(ScoreCallTest, AFailedStepIsInternal) {
  StackOptions options;
  options.model.before_step = [](int64_t) { return absl::InternalError("the device is gone"); };
  Stack stack(options);
  v1::ScoreResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stack.scoring->Score(&context, TextsRequest({"x", "y"}), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(Reason(status), "dyad.v1 INTERNAL");
  EXPECT_TRUE(stack.ComesToRest());
}

}  // namespace
}  // namespace dyad
