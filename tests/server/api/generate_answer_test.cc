// Generate's answer in parts, for a writer that this test cranks. Every field of it, over a server:
// generate_call_test.cc and generate_stream_test.cc in tests/server/grpc.
#include "server/api/generate_answer.h"

#include "absl/synchronization/notification.h"
#include "server/api/request_error.h"
#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::SizeIs;

v1::GenerateRequest Request(int32_t choices, int32_t tokens) {
  v1::GenerateRequest request;
  request.set_model("bytes");
  request.set_text("q");
  request.set_n(choices);
  request.set_max_new_tokens(tokens);
  request.set_temperature(1.2);
  request.set_seed(5);
  request.set_ignore_eos(true);
  return request;
}

// A model whose steps wait for `gate`.
StackOptions Gated(Gate& gate) {
  StackOptions options;
  options.model.before_step = [&](int64_t) {
    gate.Pass();
    return absl::OkStatus();
  };
  return options;
}

// Counts how often it is told that there is a part, and takes parts when the test says so.
class Writer {
 public:
  Writer(EngineStack& stack, const v1::GenerateRequest& request, Delivery delivery,
         Arrival arrival = {.method = "S/M"})
      : call_(stack.state, std::move(arrival)) {
    absl::StatusOr<GenerationPlans> plans = PlanGenerate(request, call_);
    EXPECT_OK(plans);
    answer_.emplace(*std::move(plans), call_, delivery, [this] {
      MutexLock lock(&mutex_);
      ++told_;
      changed_.SignalAll();
    });
    answer_->Start();
  }
  GenerateAnswer& answer() { return *answer_; }
  RpcRecord& record() { return call_.record(); }

  void AwaitTold(int times) {
    MutexLock lock(&mutex_);
    while (told_ < times) changed_.Wait(&mutex_);
  }
  int told() {
    MutexLock lock(&mutex_);
    return told_;
  }
  // Takes every part as soon as it is there, after `times` tellings; returns the pieces and how it
  // ended.
  std::pair<std::vector<v1::Choice>, absl::Status> TakeAll(int times = 1) {
    std::vector<v1::Choice> pieces;
    for (;; ++times) {
      AwaitTold(times);
      while (std::optional<GeneratePart> part = answer_->Next()) {
        if (part->end.has_value()) return {std::move(pieces), *part->end};
        pieces.push_back(std::move(part->piece));
      }
    }
  }

 private:
  Call call_;
  Mutex mutex_;
  CondVar changed_;
  int told_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<GenerateAnswer> answer_;
};

TEST(PlanGenerateTest, NotesWhatIsKnownBeforeItRuns) {
  EngineStack stack;
  Call call(stack.state, {.method = "S/M"});
  v1::GenerateRequest request = Request(3, 4);
  request.set_text("abc");
  request.set_echo(true);
  request.set_logprobs(0);
  EXPECT_OK(PlanGenerate(request, call));
  EXPECT_EQ(call.record().model, "bytes");
  EXPECT_EQ(call.record().prompt, "abc");
  EXPECT_EQ(call.record().prompt_tokens, 4);
  EXPECT_EQ(call.record().scored_tokens, 9);
  request.clear_seed();
  EXPECT_NE(PlanGenerate(request, call)->front().request.sampling.seed,
            PlanGenerate(request, call)->front().request.sampling.seed);
}

TEST(PlanGenerateTest, AnAnswerForWhichThereIsNoRoomIsNotBegun) {
  const UnreadStack full;
  Call call(full.stack.state, {.method = "S/M", .peer = "p"});
  EXPECT_OK(PlanGenerate(Request(1, 4), call));
  EXPECT_THAT(PlanGenerate(Request(8, 200), call),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("this connection")));
}

TEST(GenerateAnswerTest, PiecesJoinedAreTheWhole) {
  EngineStack stack;
  Writer pieces(stack, Request(3, 40), Delivery::kPieces);
  Writer whole(stack, Request(3, 40), Delivery::kWhole);
  const auto [some, some_end] = pieces.TakeAll();
  const auto [all, all_end] = whole.TakeAll();
  EXPECT_OK(some_end);
  EXPECT_OK(all_end);
  ASSERT_THAT(all, SizeIs(3));
  for (const v1::Choice& choice : all) {
    v1::Choice joined;
    std::string text;
    for (const v1::Choice& piece : some) {
      if (piece.index() != choice.index()) continue;
      joined.MergeFrom(piece);
      text += piece.text();
    }
    joined.set_text(text);
    EXPECT_EQ(joined.SerializeAsString(), choice.SerializeAsString());
  }
  EXPECT_EQ(pieces.record().generated_tokens, 120);
  EXPECT_EQ(pieces.record().finish_reason, "length");
  EXPECT_EQ(pieces.answer().Summary().usage().generated_tokens(), 120);
  EXPECT_EQ(pieces.answer().Summary().seed(), 5u);
  EXPECT_EQ(pieces.answer().Summary().model_digest(), "d1");
  EXPECT_EQ(pieces.answer().Summary().arithmetic(), "fast");
}

TEST(GenerateAnswerTest, WhatComesDuringAWriteGathersAndChoicesTakeTurns) {
  Gate gate;
  EngineStack stack(Gated(gate));
  Writer writer(stack, Request(2, 9), Delivery::kPieces);
  gate.Let(1);
  writer.AwaitTold(1);
  gate.AwaitArrivals(2);  // the first step's tokens were delivered
  EXPECT_THAT(writer.answer().Next()->piece.ids(), SizeIs(1));
  gate.Let(3);
  gate.AwaitArrivals(5);  // three steps more during this write
  const v1::Choice second = writer.answer().Next()->piece;
  EXPECT_EQ(second.index(), 1) << "which has waited since the first step";
  EXPECT_THAT(second.ids(), SizeIs(4));
  const v1::Choice first = writer.answer().Next()->piece;
  EXPECT_EQ(first.index(), 0);
  EXPECT_THAT(first.ids(), SizeIs(3));
  EXPECT_EQ(writer.told(), 1) << "a writer that did not ask in vain is not told";
  EXPECT_FALSE(writer.answer().Next().has_value());
  gate.Open();
  EXPECT_OK(writer.TakeAll(2).second);
}

TEST(GenerateAnswerTest, AWholeChoiceIsOnePieceWhenItHasEnded) {
  Gate gate;
  EngineStack stack(Gated(gate));
  Writer writer(stack, Request(2, 9), Delivery::kWhole);
  gate.Let(8);
  gate.AwaitArrivals(9);
  EXPECT_EQ(writer.told(), 0);
  gate.Open();
  const auto [choices, end] = writer.TakeAll();
  EXPECT_OK(end);
  ASSERT_THAT(choices, SizeIs(2));
  EXPECT_THAT(choices[0].ids(), SizeIs(9));
  EXPECT_THAT(choices[1].ids(), SizeIs(9));
}

TEST(GenerateAnswerTest, AnAbandonedAnswerHasNoMorePiecesAndEnds) {
  Gate gate;
  EngineStack stack(Gated(gate));
  Writer writer(stack, Request(3, 200), Delivery::kPieces);
  gate.Let(2);
  gate.AwaitArrivals(3);
  writer.answer().Abandon();
  EXPECT_FALSE(writer.answer().Next().has_value());
  gate.Open();
  writer.AwaitTold(2);
  const auto part = writer.answer().Next();
  ASSERT_TRUE(part.has_value() && part->end.has_value());
  EXPECT_EQ(part->end->code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(stack.ComesToRest());
  EXPECT_LE(stack.model.steps(), 4);
}

TEST(GenerateAnswerTest, CachedTokensAreThoseOfThePromptOnce) {
  EngineStack stack;
  v1::GenerateRequest request = Request(3, 2);
  request.set_text(std::string(40, 'x'));
  EXPECT_OK(Writer(stack, request, Delivery::kWhole).TakeAll().second);
  Writer again(stack, request, Delivery::kWhole);
  EXPECT_OK(again.TakeAll().second);
  EXPECT_EQ(again.record().cached_tokens, 32);  // two whole pages
}

TEST(GenerateAnswerTest, TheCallsDeadlineEndsItsChoices) {
  EngineStack stack;
  Writer writer(stack, Request(2, 4), Delivery::kWhole,
                {.method = "S/M", .deadline = absl::InfinitePast()});
  EXPECT_EQ(writer.TakeAll().second.code(), absl::StatusCode::kDeadlineExceeded);
}

// Whose choices fill all places and the queue keeps nobody else waiting.
TEST(GenerateAnswerTest, AnotherConnectionHasItsTurn) {
  Gate gate;
  StackOptions options = Gated(gate);
  options.engine.max_running_sequences = 2;
  EngineStack stack(options);
  Writer many(stack, Request(16, 100), Delivery::kWhole, {.method = "S/M", .peer = "one"});
  Writer few(stack, Request(1, 1), Delivery::kWhole, {.method = "S/M", .peer = "another"});
  gate.Let(4);
  gate.AwaitArrivals(5);
  EXPECT_EQ(few.told(), 1);
  EXPECT_EQ(many.told(), 0);
  gate.Open();
  EXPECT_OK(few.TakeAll().second);
  EXPECT_OK(many.TakeAll().second);
}

TEST(GenerateAnswerTest, ARefusalIsTheOnlyPart) {
  EngineStack stack;
  stack.state.draining = true;
  Writer writer(stack, Request(2, 4), Delivery::kPieces);
  const auto [pieces, end] = writer.TakeAll();
  EXPECT_THAT(pieces, SizeIs(0));
  EXPECT_THAT(end, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("shutting down")));
}

TEST(GenerateAnswerTest, AFailureComesAfterThePiecesBeforeIt) {
  StackOptions options;
  options.model.before_step = [](int64_t step) {
    return step < 5 ? absl::OkStatus() : absl::InternalError("the device is gone");
  };
  EngineStack stack(options);
  Writer writer(stack, Request(2, 50), Delivery::kPieces);
  const auto [pieces, end] = writer.TakeAll();
  EXPECT_THAT(end, StatusIs(absl::StatusCode::kInternal, HasSubstr("the device is gone")));
  int ids = 0;
  for (const v1::Choice& piece : pieces) ids += piece.ids_size();
  EXPECT_EQ(ids, 2 * 5);
}

TEST(GenerateAnswerTest, PiecesThatNobodyTakesEndItWhenThereIsNoRoom) {
  StackOptions options;
  options.limits.max_unread_bytes = 64 << 10;
  EngineStack stack(options);
  v1::GenerateRequest request = Request(4, 200);
  request.set_logprobs(20);
  Writer writer(stack, request, Delivery::kPieces);
  EXPECT_TRUE(stack.ComesToRest());
  const std::optional<GeneratePart> part = writer.answer().Next();
  ASSERT_TRUE(part.has_value() && part->end.has_value()) << "no piece is kept";
  EXPECT_THAT(*part->end, StatusIs(absl::StatusCode::kResourceExhausted,
                                   HasSubstr("a quarter of --max_unread_bytes")));
  EXPECT_LT(writer.record().generated_tokens, 4 * 200);
  EXPECT_EQ(stack.state.unread.bytes(), 0);
}

TEST(PlanPromptsTest, ABadPromptIsNamedAmongSeveral) {
  EngineStack stack;
  Call call(stack.state, {.method = "S/M"});
  std::vector<v1::GenerateRequest> requests(3, Request(2, 4));
  requests[2].set_text("");
  requests[2].set_top_p(2);
  const absl::StatusOr<GenerationPlans> plans = PlanPrompts(requests, call);
  EXPECT_THAT(plans, StatusIs(absl::StatusCode::kInvalidArgument,
                              HasSubstr("requests[2].top_p is 2; must be in (0, 1]")));
  EXPECT_THAT(FieldsOf(plans.status()), ElementsAre("requests[2].top_p"));
}

// The answer, once it has ended.
absl::StatusOr<v1::GenerateResponse> Whole(GenerationPlans plans, Call& call) {
  absl::Notification ended;
  absl::StatusOr<v1::GenerateResponse> response;
  WholeGenerateAnswer answer(std::move(plans), call,
                             [&](absl::StatusOr<v1::GenerateResponse> whole) {
                               response = std::move(whole);
                               ended.Notify();
                             });
  answer.Start();
  ended.WaitForNotification();
  return response;
}

TEST(WholeGenerateAnswerTest, HasTheChoicesOfEachPromptInOrder) {
  EngineStack stack;
  const auto ask = [&](const std::vector<v1::GenerateRequest>& requests) {
    Call call(stack.state, {.method = "S/M"});
    absl::StatusOr<v1::GenerateResponse> response = Whole(*PlanPrompts(requests, call), call);
    EXPECT_OK(response);
    EXPECT_EQ(call.record().prompt_tokens, static_cast<int64_t>(2 * requests.size()));
    return *std::move(response);
  };
  std::vector<v1::GenerateRequest> requests(2, Request(2, 5));
  requests[1].set_text("r");
  const v1::GenerateResponse both = ask(requests);
  const v1::GenerateResponse first = ask({requests[0]});
  const v1::GenerateResponse second = ask({requests[1]});
  ASSERT_EQ(both.choices_size(), 4);
  for (int i = 0; i < 4; ++i) {
    const v1::Choice& alone = (i < 2 ? first : second).choices(i % 2);
    EXPECT_EQ(both.choices(i).index(), i);
    EXPECT_THAT(both.choices(i).ids(), ElementsAreArray(alone.ids()));
  }
  EXPECT_EQ(both.usage().prompt_tokens(), 4);
}

TEST(WholeGenerateAnswerTest, APromptMayBeScoredAlone) {
  EngineStack stack;
  const auto ask = [&](int32_t tokens, bool logprobs) {
    v1::GenerateRequest request = Request(1, tokens);
    request.set_text("abc");
    request.set_echo(true);
    if (logprobs) request.set_logprobs(1);
    Call call(stack.state, {.method = "S/M"});
    const absl::StatusOr<v1::GenerateResponse> response = Whole(*PlanGenerate(request, call), call);
    EXPECT_OK(response);
    return response->choices(0);
  };
  const v1::Choice scored = ask(0, true);
  const v1::Choice longer = ask(1, true);
  EXPECT_EQ(scored.finish_reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(scored.text(), "abc");
  EXPECT_THAT(scored.ids(), ElementsAre(kEnd, 'a', 'b', 'c'));
  ASSERT_THAT(scored.logprobs(), SizeIs(4));
  ASSERT_THAT(longer.logprobs(), SizeIs(5));
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(scored.logprobs(i).SerializeAsString(), longer.logprobs(i).SerializeAsString());
  }
  EXPECT_EQ(ask(0, false).text(), "abc");
  EXPECT_TRUE(stack.ComesToRest());
}

TEST(WholeGenerateAnswerTest, HasChoicesInOrderAndTheSummary) {
  EngineStack stack;
  Call call(stack.state, {.method = "S/M"});
  const absl::StatusOr<v1::GenerateResponse> response =
      Whole(*PlanGenerate(Request(5, 7), call), call);
  ASSERT_OK(response);
  ASSERT_EQ(response->choices_size(), 5);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(response->choices(i).index(), i);
    EXPECT_THAT(response->choices(i).ids(), SizeIs(7));
  }
  EXPECT_EQ(response->usage().generated_tokens(), 35);
}

}  // namespace
}  // namespace dyad
