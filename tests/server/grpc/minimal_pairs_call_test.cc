// ScoreMinimalPairs over a real server: many pairs through small bounds, none lost, none stuck.
#include "server/grpc/minimal_pairs_call.h"

#include <atomic>
#include <map>

#include "tests/server/grpc/service_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/for_stream.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;

using Requests = std::vector<v1::ScoreMinimalPairsRequest>;

struct PairsStreamed {
  grpc::Status status;
  std::vector<v1::ScoreMinimalPairsResponse> messages;
  std::map<int64_t, v1::PairScore> results;
  int64_t repeated = 0;  // results whose index was there before
};

// Writes all requests from one thread while another reads.
PairsStreamed StreamPairs(Stack& stack, const Requests& requests) {
  PairsStreamed result;
  grpc::ClientContext context;
  auto stream = stack.scoring->ScoreMinimalPairs(&context);
  std::thread writer([&] {
    for (const auto& request : requests) {
      if (!stream->Write(request)) return;
    }
    stream->WritesDone();
  });
  v1::ScoreMinimalPairsResponse message;
  while (stream->Read(&message)) {
    for (const v1::PairScore& pair : message.results()) {
      if (!result.results.emplace(pair.index(), pair).second) ++result.repeated;
    }
    result.messages.push_back(message);
  }
  writer.join();
  result.status = stream->Finish();
  return result;
}

void AddPair(v1::ScoreMinimalPairsRequest& request, int64_t index, const std::string& good,
             const std::string& bad) {
  v1::MinimalPair& pair = *request.add_pairs();
  pair.set_index(index);
  pair.set_good(good);
  pair.set_bad(bad);
}

v1::ScoreMinimalPairsRequest Options() {
  v1::ScoreMinimalPairsRequest request;
  request.set_model("bytes");
  return request;
}

double Sum(const FakeModel& model, const std::string& text) {
  std::vector<int32_t> ids = Ids(" " + text);
  ids.insert(ids.begin(), kEnd);
  double sum = 0;
  for (const auto& score : model.ExpectedScores(ids, 1, 0)) sum += score.logprob;
  return sum;
}

std::string Sentence(int64_t index) {
  return absl::StrCat("s", index * 7919 % 1000, std::string(index % 23, 'a' + index % 26));
}

// `count` pairs in messages of `per_message`.
Requests ManyPairs(int64_t count, int64_t per_message) {
  Requests requests = {Options()};
  for (int64_t i = 0; i < count; ++i) {
    if (requests.back().pairs_size() == per_message) requests.emplace_back();
    AddPair(requests.back(), i, Sentence(i), Sentence(i + 1));
  }
  return requests;
}

void ExpectAllAnswered(const Stack& stack, const PairsStreamed& streamed, int64_t count) {
  ASSERT_TRUE(streamed.status.ok()) << streamed.status.error_message();
  ASSERT_EQ(static_cast<int64_t>(streamed.results.size()), count);
  EXPECT_EQ(streamed.repeated, 0);
  for (const auto& [index, pair] : streamed.results) {
    ASSERT_FALSE(pair.has_error()) << pair.error().message();
    ASSERT_EQ(pair.good_sum(), Sum(stack.model, Sentence(index))) << index;
    ASSERT_EQ(pair.margin(), pair.good_sum() - pair.bad_sum());
  }
}

TEST(MinimalPairsCallTest, AResultSaysEverything) {
  Stack stack;
  v1::ScoreMinimalPairsRequest request = Options();
  request.set_return_tokens(true);
  AddPair(request, 41, "the cats", "the cat");
  const PairsStreamed streamed = StreamPairs(stack, {request});
  ASSERT_TRUE(streamed.status.ok()) << streamed.status.error_message();
  ASSERT_EQ(streamed.results.count(41), 1u);
  const v1::PairScore& pair = streamed.results.at(41);
  EXPECT_EQ(pair.good_sum(), Sum(stack.model, "the cats"));
  EXPECT_EQ(pair.bad_sum(), Sum(stack.model, "the cat"));
  EXPECT_EQ(pair.correct(), pair.good_sum() >= pair.bad_sum());
  EXPECT_FALSE(pair.tie());
  EXPECT_EQ(pair.first_difference(), 6);  // </s>, " the", " ", "c", "a", "t", then "s" or nothing
  EXPECT_EQ(pair.good().sum(), pair.good_sum());
  EXPECT_EQ(pair.bad().ids_size(), 6);
  EXPECT_EQ(streamed.messages[0].convention(), v1::CONVENTION_LM_EVAL);
  EXPECT_EQ(streamed.messages[0].model(), "bytes");
  EXPECT_EQ(streamed.messages[0].model_digest(), "d1");
  EXPECT_EQ(streamed.messages[0].arithmetic(), "fast");
  EXPECT_FALSE(streamed.messages[0].request_id().empty());
  const RpcRecord record = stack.observer.Await(0);
  EXPECT_EQ(record.method, "ScoringService/ScoreMinimalPairs");
  EXPECT_EQ(record.prompt_tokens, 13);
  EXPECT_EQ(record.scored_tokens, 11);
}

TEST(MinimalPairsCallTest, TheSameSentenceTwiceIsATie) {
  Stack stack;
  v1::ScoreMinimalPairsRequest request = Options();
  AddPair(request, 0, "the same", "the same");
  const v1::PairScore pair = StreamPairs(stack, {request}).results[0];
  EXPECT_EQ(pair.margin(), 0);
  EXPECT_TRUE(pair.tie());
  EXPECT_TRUE(pair.correct());
  EXPECT_FALSE(pair.has_first_difference());
}

TEST(MinimalPairsCallTest, FiveThousandPairsThroughSmallBounds) {
  StackOptions options;
  options.limits.max_stream_pairs = 7;
  options.engine.max_queued_requests = 5;
  options.engine.max_running_sequences = 3;
  Stack stack(options);
  const PairsStreamed streamed = StreamPairs(stack, ManyPairs(5000, 64));
  ExpectAllAnswered(stack, streamed, 5000);
  EXPECT_TRUE(stack.ComesToRest());
}

TEST(MinimalPairsCallTest, OnePairAtATimeStillWorks) {
  StackOptions options;
  options.limits.max_stream_pairs = 1;
  Stack stack(options);
  ExpectAllAnswered(stack, StreamPairs(stack, ManyPairs(100, 9)), 100);
}

TEST(MinimalPairsCallTest, AQueueFullOfOthersWorkLosesNothing) {
  Gate gate;
  StackOptions options;
  options.model.before_step = [&](int64_t) {
    gate.Pass();
    return absl::OkStatus();
  };
  options.engine.max_queued_requests = 2;
  options.engine.max_running_sequences = 1;
  Stack stack(options);
  v1::ScoreRequest other;
  other.set_model("bytes");
  other.add_items()->set_text("running");
  other.add_items()->set_text("waiting");
  v1::ScoreResponse response;
  grpc::ClientContext context;
  std::thread holder([&] { EXPECT_TRUE(stack.scoring->Score(&context, other, &response).ok()); });
  gate.AwaitArrivals(1);
  std::thread opener([&] {
    EXPECT_TRUE(testing::Eventually([&] { return stack.metrics.rejected >= 6; }));
    gate.Open();
  });
  const PairsStreamed streamed = StreamPairs(stack, ManyPairs(20, 20));
  ExpectAllAnswered(stack, streamed, 20);
  holder.join();
  opener.join();
}

TEST(MinimalPairsCallTest, SeveralStreamsShareAnEngine) {
  StackOptions options;
  options.limits.max_stream_pairs = 4;
  options.engine.max_queued_requests = 6;
  options.engine.max_running_sequences = 4;
  Stack stack(options);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back(
        [&] { ExpectAllAnswered(stack, StreamPairs(stack, ManyPairs(300, 50)), 300); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(stack.ComesToRest());
}

// Pairs have no turn of their own beside other calls of their connection.
TEST(MinimalPairsCallTest, PairsAreWorkOfTheirConnection) {
  Gate gate;
  StackOptions options;
  options.model.before_step = [&](int64_t) {
    gate.Pass();
    return absl::OkStatus();
  };
  options.engine.max_running_sequences = 2;
  Stack stack(options);
  v1::GenerateRequest many;
  many.set_model("bytes");
  many.set_text("q");
  many.set_n(16);
  many.set_max_new_tokens(20);
  many.set_ignore_eos(true);
  grpc::ClientContext context;
  const auto reader = stack.generation->GenerateStream(&context, ForStream(many));
  gate.AwaitArrivals(1);
  v1::ScoreMinimalPairsRequest request = Options();
  AddPair(request, 1, "the cats", "the cat");
  std::thread pairs([&] { EXPECT_EQ(StreamPairs(stack, {request}).results.size(), 1u); });
  EXPECT_TRUE(testing::Eventually([&] { return stack.engine->Status().waiting >= 16; }));
  gate.Let(4);
  gate.AwaitArrivals(5);
  EXPECT_EQ(stack.metrics.finished, 0);
  gate.Open();
  pairs.join();
  v1::GenerateStreamResponse message;
  while (reader->Read(&message)) {
  }
  EXPECT_TRUE(reader->Finish().ok());
}

TEST(MinimalPairsCallTest, AClientThatDoesNotReadIsNotRead) {
  StackOptions options;
  options.limits.max_stream_pairs = 8;
  Stack stack(options);
  const auto stub = v1::ScoringService::NewStub(stack.NarrowChannel());
  grpc::ClientContext context;
  auto stream = stub->ScoreMinimalPairs(&context);
  std::atomic<int64_t> written = 0;
  Requests requests(20'000);
  requests[0] = Options();
  requests[0].set_return_tokens(true);
  for (auto& request : requests) AddPair(request, 0, std::string(200, 'x'), std::string(200, 'y'));
  std::thread writer([&] {
    for (const auto& request : requests) {
      if (!stream->Write(request)) return;
      ++written;
    }
    stream->WritesDone();
  });
  int64_t before = -1;
  while (before != written) {  // until it stands still
    before = written;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  EXPECT_LT(before, static_cast<int64_t>(requests.size()));
  // Nor is the engine's queue filled with what nobody fetches: it would take 4096 sentences.
  EXPECT_LT(stack.metrics.accepted, 1000);
  context.TryCancel();
  writer.join();
  v1::ScoreMinimalPairsResponse message;
  while (stream->Read(&message)) continue;
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(stack.ComesToRest());
}

TEST(MinimalPairsCallTest, ABadPairDoesNotEndTheStream) {
  Stack stack;
  v1::ScoreMinimalPairsRequest request = Options();
  AddPair(request, 1, "good", "bad");
  AddPair(request, 2, "good", std::string(300, 'x'));
  AddPair(request, 3, "good", "bad");
  const PairsStreamed streamed = StreamPairs(stack, {request});
  ASSERT_TRUE(streamed.status.ok());
  ASSERT_EQ(streamed.results.size(), 3u);
  EXPECT_FALSE(streamed.results.at(1).has_error());
  EXPECT_FALSE(streamed.results.at(3).has_error());
  EXPECT_EQ(streamed.results.at(2).error().code(), 3);
  EXPECT_THAT(streamed.results.at(2).error().message(), HasSubstr("bad is 302 tokens"));
}

TEST(MinimalPairsCallTest, NothingToScoreIsThePairsError) {
  Stack stack;
  for (const v1::Convention convention :
       {v1::CONVENTION_BABYLM, v1::CONVENTION_MINICONS_SUM, v1::CONVENTION_MINICONS_MEAN}) {
    v1::ScoreMinimalPairsRequest request = Options();
    request.set_convention(convention);
    AddPair(request, 8, "xy", "");
    AddPair(request, 9, "xy", "xz");
    const PairsStreamed streamed = StreamPairs(stack, {request});
    ASSERT_TRUE(streamed.status.ok());
    EXPECT_EQ(streamed.results.at(8).error().code(), 3);
    EXPECT_THAT(streamed.results.at(8).error().message(),
                HasSubstr("bad is left without a token to score"));
    EXPECT_EQ(streamed.results.at(9).good_scored_tokens(), 2);
    EXPECT_EQ(streamed.results.at(9).bad_scored_tokens(), 2);
  }
}

TEST(MinimalPairsCallTest, AContextIsInFrontOfBoth) {
  Stack stack;
  v1::ScoreMinimalPairsRequest request = Options();
  AddPair(request, 1, " the cats", " the cat");
  request.mutable_pairs(0)->set_context("see");
  const PairsStreamed streamed = StreamPairs(stack, {request});
  v1::ScoreRequest score;
  score.set_model("bytes");
  for (const char* text : {" the cats", " the cat"}) {
    v1::ScoreItem& item = *score.add_items();
    item.set_text(text);
    item.set_context_text("see");
  }
  v1::ScoreResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stack.scoring->Score(&context, score, &response).ok());
  EXPECT_EQ(streamed.results.at(1).good_sum(), response.scores(0).sum());
  EXPECT_EQ(streamed.results.at(1).bad_sum(), response.scores(1).sum());
  EXPECT_EQ(streamed.results.at(1).good_scored_tokens(), response.scores(0).scored_tokens());
}

TEST(MinimalPairsCallTest, LaterOptionsThatDifferEndTheStream) {
  Stack stack;
  Requests requests = ManyPairs(2, 1);
  requests[1].set_model("none");
  const PairsStreamed streamed = StreamPairs(stack, requests);
  EXPECT_EQ(streamed.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(BadField(streamed.status), "model");
  EXPECT_EQ(streamed.results.size(), 1u) << "what came before is answered";
}

TEST(MinimalPairsCallTest, OptionsAloneAreAnsweredWithTheHeader) {
  Stack stack;
  const PairsStreamed streamed = StreamPairs(stack, {Options()});
  ASSERT_TRUE(streamed.status.ok());
  ASSERT_EQ(streamed.messages.size(), 1u);
  EXPECT_EQ(streamed.messages[0].convention(), v1::CONVENTION_LM_EVAL);
  const PairsStreamed empty = StreamPairs(stack, {});
  EXPECT_TRUE(empty.status.ok());
  EXPECT_TRUE(empty.messages.empty());
}

TEST(MinimalPairsCallTest, ABadFirstMessageEndsTheStream) {
  Stack stack;
  v1::ScoreMinimalPairsRequest request = Options();
  request.set_model("none");
  EXPECT_EQ(StreamPairs(stack, {request}).status.error_code(), grpc::StatusCode::NOT_FOUND);
  request.set_model("ids");
  EXPECT_EQ(StreamPairs(stack, {request}).status.error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  const PairsStreamed many = StreamPairs(stack, ManyPairs(1025, 1025));
  EXPECT_EQ(many.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(BadField(many.status), "pairs");
}

TEST(MinimalPairsCallTest, AFailedStepFailsItsPairsOnly) {
  StackOptions options;
  options.limits.max_stream_pairs = 1;
  options.model.before_step = [](int64_t step) {
    return step == 1 ? absl::InternalError("the device hiccups") : absl::OkStatus();
  };
  Stack stack(options);
  const PairsStreamed streamed = StreamPairs(stack, ManyPairs(10, 10));
  ASSERT_TRUE(streamed.status.ok());
  ASSERT_EQ(streamed.results.size(), 10u);
  int errors = 0;
  for (const auto& [index, pair] : streamed.results) errors += pair.has_error() ? 1 : 0;
  EXPECT_EQ(errors, 1);
}

TEST(MinimalPairsCallTest, DrainingGivesWhatRanAndThenUnavailable) {
  StackOptions options;
  options.limits.max_stream_pairs = 4;
  options.model.step_time = std::chrono::milliseconds(1);
  Stack stack(options);
  std::thread drainer([&] {
    EXPECT_TRUE(testing::Eventually([&] { return stack.metrics.finished >= 20; }));
    stack.state.draining = true;
  });
  const PairsStreamed streamed = StreamPairs(stack, ManyPairs(5000, 10));
  drainer.join();
  EXPECT_EQ(streamed.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_GE(streamed.results.size(), 10u);
  EXPECT_LT(streamed.results.size(), 5000u);
  EXPECT_EQ(static_cast<int64_t>(2 * streamed.results.size()), stack.metrics.accepted);
  for (const auto& [index, pair] : streamed.results) EXPECT_FALSE(pair.has_error());
}

TEST(MinimalPairsCallTest, ADeadlineEndsTheStream) {
  StackOptions options;
  options.model.step_time = std::chrono::milliseconds(20);
  Stack stack(options);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(150));
  auto stream = stack.scoring->ScoreMinimalPairs(&context);
  stream->Write(ManyPairs(1000, 1000)[0]);
  v1::ScoreMinimalPairsResponse message;
  while (stream->Read(&message)) continue;
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(stack.ComesToRest());
}

}  // namespace
}  // namespace dyad
