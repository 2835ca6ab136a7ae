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

// What a text scores in one window, token by token from the text that stands before it there.
TEST(ScoreAnswerTest, WindowsAreScoredEachForItselfAndJoined) {
  StackOptions options;
  options.model.context_length = 8;
  EngineStack stack(options);
  std::string text;
  for (int i = 0; i < 30; ++i) text.push_back(static_cast<char>('a' + i * 7 % 26));
  v1::ScoreRequest request = TextRequest({text, "ab"});
  request.set_convention(v1::CONVENTION_CONDITIONAL);
  for (const v1::WordCorrection correction :
       {v1::WORD_CORRECTION_NONE, v1::WORD_CORRECTION_OH_SCHULER}) {
    const bool corrects = correction != v1::WORD_CORRECTION_NONE;
    request.mutable_words()->set_correction(correction);
    request.mutable_window()->set_tokens(6);
    request.mutable_window()->set_stride(4);
    const Answered answered = Ask(stack, request);
    ASSERT_OK(answered.response);
    const v1::TextScore& score = answered.response->scores(0);
    std::vector<int32_t> ids = {kEnd};
    for (const char c : text) ids.push_back(c);
    ASSERT_THAT(score.ids(), ::testing::ElementsAreArray(ids));
    EXPECT_EQ(score.scored_tokens(), 30);
    EXPECT_EQ(answered.response->scores(1).scored_tokens(), 2);
    EXPECT_EQ(answered.record.scored_tokens, 32);
    EXPECT_EQ(answered.record.prompt_tokens, 6 + 6 * 6 + 6 + 3);
    for (int32_t i = 1; i <= 30; ++i) {
      // Windows end at 6, 10, 14 … 30, 31, and hold 6.
      const int32_t end = i < 6 ? 6 : std::min(6 + (i - 6) / 4 * 4 + 4, 31);
      const auto history =
          std::span(ids).subspan(static_cast<size_t>(end - 6), static_cast<size_t>(i - (end - 6)));
      const auto logits = stack.model.LogitsAfter(history);
      EXPECT_EQ(score.logprobs(i), ScoreOf(logits, ids[static_cast<size_t>(i)], 0).logprob) << i;
      if (corrects) {
        EXPECT_EQ(score.boundary_logprobs(i),
                  SetLogprobOf(logits, stack.models.models()[0].word_id_sets, kBeginsWord))
            << i;
      }
    }
    ASSERT_EQ(score.boundary_logprobs_size(), corrects ? 32 : 0);
    if (corrects) {
      const auto logits = stack.model.LogitsAfter(std::span(ids).subspan(25));
      EXPECT_EQ(score.boundary_logprobs(31),
                SetLogprobOf(logits, stack.models.models()[0].word_id_sets, kBeginsWord));
    }
  }
  EXPECT_TRUE(stack.ComesToRest());
}

TEST(ScoreAnswerTest, OneMoreTokenIsScoredThanFed) {
  StackOptions options;
  options.model.context_length = 8;
  EngineStack stack(options);
  v1::ScoreRequest request = TextRequest({"abcdefgh"});
  request.set_convention(v1::CONVENTION_CONDITIONAL);
  const Answered answered = Ask(stack, request);
  ASSERT_OK(answered.response);
  EXPECT_EQ(answered.response->scores(0).scored_tokens(), 8);
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
                const absl::Status full = Ask(stack, TextRequest({"too many"})).response.status();
                EXPECT_THAT(full,
                            StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("queue")));
                EXPECT_EQ(RetryAfter(full), absl::Seconds(1)) << "no step has ended yet";
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
