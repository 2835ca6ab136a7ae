// Score's answer without a wire. Every field of it, over a server:
// tests/server/grpc/score_call_test.cc.
#include "server/api/score_answer.h"

#include "absl/strings/str_join.h"
#include "absl/synchronization/notification.h"
#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;

v1::ScoreRequest TextRequest(const std::vector<std::string>& texts) {
  v1::ScoreRequest request;
  request.set_model("bytes");
  for (const std::string& text : texts) request.add_items()->set_text(text);
  return request;
}

struct Answered {
  absl::StatusOr<v1::ScoreResponse> response;
  RpcRecord record;
};

// Asks, and waits for the answer; `meanwhile` runs between.
Answered Ask(
    EngineStack& stack, const v1::ScoreRequest& request,
    const std::function<void(ScoreAnswer&)>& meanwhile = [](ScoreAnswer&) {}) {
  Answered answered;
  Call call(stack.state, {.method = "S/M"});
  absl::StatusOr<ScorePlan> plan = PlanScore(request, call);
  EXPECT_OK(plan);
  absl::Notification ended;
  ScoreAnswer answer(*std::move(plan), call, [&](absl::StatusOr<ScorePieces> pieces) {
    if (pieces.ok()) {
      EXPECT_TRUE(answered.response.emplace().ParseFromString(absl::StrJoin(*pieces, "")));
    } else {
      answered.response = pieces.status();
    }
    ended.Notify();
  });
  answer.Start();
  meanwhile(answer);
  ended.WaitForNotification();
  answered.record = call.record();
  return answered;
}

TEST(PlanScoreTest, NotesModelAndPrompt) {
  EngineStack stack;
  Call call(stack.state, {.method = "S/M"});
  EXPECT_OK(PlanScore(TextRequest({"the x", "y"}), call));
  EXPECT_EQ(call.record().model, "bytes");
  EXPECT_EQ(call.record().prompt, "the x");
  Call refused(stack.state, {.method = "S/M"});
  EXPECT_THAT(PlanScore(TextRequest({}), refused),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("items")));
}

TEST(PlanScoreTest, AnAnswerForWhichThereIsNoRoomIsNotBegun) {
  const UnreadStack full;
  Call call(full.stack.state, {.method = "S/M", .peer = "p"});
  EXPECT_OK(PlanScore(TextRequest({"x"}), call));
  EXPECT_THAT(PlanScore(TextRequest({std::string(200, 'x')}), call),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("this connection")));
}

TEST(ScoreAnswerTest, HasAScoreForEachItemAndTheCallsRecord) {
  EngineStack stack;
  v1::ScoreRequest request = TextRequest({"the x", "y"});
  request.add_items()->mutable_ids()->add_ids(7);  // nothing to score
  const Answered answered = Ask(stack, request);
  ASSERT_OK(answered.response);
  ASSERT_EQ(answered.response->scores_size(), 3);
  EXPECT_EQ(answered.response->scores(0).scored_tokens(), 3);
  EXPECT_EQ(answered.response->scores(1).scored_tokens(), 2);
  EXPECT_EQ(answered.response->scores(2).ids_size(), 1);
  EXPECT_EQ(answered.response->model_digest(), "d1");
  EXPECT_EQ(answered.response->arithmetic(), "fast");
  EXPECT_EQ(answered.response->request_id(), answered.record.request_id);
  EXPECT_EQ(answered.response->usage().prompt_tokens(), 8);
  EXPECT_EQ(answered.record.prompt_tokens, 8);
  EXPECT_EQ(answered.record.scored_tokens, 5);
  EXPECT_GT(answered.record.timing.prefill, absl::ZeroDuration());
}

TEST(ScoreAnswerTest, TokensFoundInTheCacheAreCountedOverAllItems) {
  EngineStack stack;
  const v1::ScoreRequest request = TextRequest({std::string(40, 'x'), std::string(40, 'y')});
  ASSERT_OK(Ask(stack, request).response);
  const Answered again = Ask(stack, request);
  ASSERT_OK(again.response);
  EXPECT_GT(again.record.cached_tokens, 42) << "more than one item has";
  EXPECT_EQ(again.response->usage().cached_tokens(), again.record.cached_tokens);
}

TEST(ScoreAnswerTest, NothingToScoreIsAnsweredAtOnce) {
  EngineStack stack;
  v1::ScoreRequest request;
  request.set_model("bytes");
  request.add_items()->mutable_ids()->add_ids(7);
  ASSERT_OK(Ask(stack, request).response);
  EXPECT_EQ(stack.model.steps(), 0);
}

TEST(ScoreAnswerTest, ARefusalIsItsEnd) {
  Gate gate;
  StackOptions options;
  options.model.before_step = [&](int64_t) {
    gate.Pass();
    return absl::OkStatus();
  };
  options.engine.max_queued_requests = 1;
  options.engine.max_running_sequences = 1;
  EngineStack stack(options);
  const auto fill = [&](ScoreAnswer&) {
    gate.AwaitArrivals(1);
    EXPECT_OK(Ask(stack, TextRequest({"waits"}), [&](ScoreAnswer&) {
                EXPECT_THAT(Ask(stack, TextRequest({"too many"})).response,
                            StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("queue")));
                gate.Open();
              }).response);
  };
  EXPECT_OK(Ask(stack, TextRequest({"runs"}), fill).response);
}

TEST(ScoreAnswerTest, AnAbandonedAnswerEndsWithinAStep) {
  Gate gate;
  StackOptions options;
  options.model.before_step = [&](int64_t) {
    gate.Pass();
    return absl::OkStatus();
  };
  options.engine.max_batch_tokens = 1;
  EngineStack stack(options);
  const Answered answered =
      Ask(stack, TextRequest({std::string(100, 'x')}), [&](ScoreAnswer& answer) {
        gate.AwaitArrivals(1);
        answer.Abandon();
        gate.Open();
      });
  EXPECT_EQ(answered.response.status().code(), absl::StatusCode::kCancelled);
  EXPECT_LE(stack.model.steps(), 2);
}

}  // namespace
}  // namespace dyad
