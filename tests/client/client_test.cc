// The typed calls, one by one.
#include "client/client.h"

#include "gtest/gtest.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using testing::FakeServer;
using ::testing::HasSubstr;
using testing::StatusIs;

class ClientTest : public ::testing::Test {
 protected:
  Client MakeClient(absl::Duration timeout = absl::InfiniteDuration()) {
    return Client(*Connect({.server = server_.address()}), timeout);
  }
  FakeServer server_;
};

TEST_F(ClientTest, GenerateReturnsChoices) {
  v1::GenerateRequest request;
  request.set_text("abc");
  const auto response = MakeClient().Generate(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->choices(0).text(), "cba");
}

TEST_F(ClientTest, StreamedPiecesComeInOrderBeforeTheEnd) {
  v1::GenerateRequest request;
  request.set_text("abc");
  std::string text;
  const auto end = MakeClient().GenerateStream(request, [&](const v1::Choice& piece) {
    text += piece.text();
    return Reader::kGoOn;
  });
  ASSERT_OK(end);
  EXPECT_EQ(text, "cba");
  EXPECT_EQ(end->request_id(), "r1");
  EXPECT_EQ(end->choices_size(), 0);
}

TEST_F(ClientTest, AReaderMayStop) {
  v1::GenerateRequest request;
  request.set_text(std::string(100000, 'x'));
  int pieces = 0;
  const auto end = MakeClient().GenerateStream(
      request, [&](const v1::Choice&) { return ++pieces < 3 ? Reader::kGoOn : Reader::kStop; });
  EXPECT_THAT(end, StatusIs(absl::StatusCode::kCancelled, _));
}

TEST_F(ClientTest, ScoreReturnsOneScorePerItem) {
  v1::ScoreRequest request;
  request.add_items()->set_text("a");
  request.add_items()->mutable_ids()->add_ids(7);
  const auto response = MakeClient().Score(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->scores_size(), 2);
  EXPECT_THAT(response->scores(0).ids(), ElementsAre(2, 97));
}

TEST_F(ClientTest, TokenizeAndDetokenize) {
  v1::TokenizeRequest text;
  text.set_text("ab");
  EXPECT_THAT(MakeClient().Tokenize(text)->ids(), ElementsAre(2, 97, 98));
  v1::DetokenizeRequest ids;
  ids.add_ids(98);
  EXPECT_EQ(MakeClient().Detokenize(ids)->text(), "b");
}

TEST_F(ClientTest, Models) {
  EXPECT_EQ(MakeClient().ListModels()->models_size(), 1);
  EXPECT_EQ(MakeClient().GetModel("fake")->layers_size(), 1);
  EXPECT_THAT(MakeClient().GetModel("x"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("model is x")));
}

TEST_F(ClientTest, TheServerSaysItsLimits) {
  EXPECT_EQ(MakeClient().GetServerInfo()->limits().at("max_receive_message_bytes"), 1 << 20);
}

TEST_F(ClientTest, HealthIsAName) {
  EXPECT_EQ(*MakeClient().Health("readiness"), "SERVING");
  EXPECT_EQ(MakeClient().Health("unknown").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientTest, AServerThatIsAwayIsTriedAgain) {
  server_.traffic.SetFaults({.fail_first = 2});
  EXPECT_OK(MakeClient().Tokenize({}));
  EXPECT_EQ(server_.traffic.calls(), 3);
  server_.traffic.SetFaults({.fail_first = 1});
  EXPECT_OK(MakeClient().GenerateStream({}, [](const v1::Choice&) { return Reader::kGoOn; }));
  EXPECT_EQ(server_.traffic.calls(), 5);
}

TEST_F(ClientTest, AFullQueueIsWaitedForHoweverOften) {
  server_.traffic.SetFaults(
      {.fail_first = 20, .code = grpc::StatusCode::RESOURCE_EXHAUSTED, .reason = "QUEUE_FULL"});
  EXPECT_OK(MakeClient().Tokenize({}));
  EXPECT_EQ(server_.traffic.calls(), 21);
}

// What is too large stays too large; the server would compute the same answer again.
TEST_F(ClientTest, OtherErrorsAreNotTriedAgain) {
  int calls = 0;
  for (const char* reason : {"", "ANSWER_TOO_LARGE", "MESSAGE_TOO_LARGE"}) {
    server_.traffic.SetFaults(
        {.fail_first = 1, .code = grpc::StatusCode::RESOURCE_EXHAUSTED, .reason = reason});
    EXPECT_THAT(MakeClient().Tokenize({}), StatusIs(absl::StatusCode::kResourceExhausted, _));
    EXPECT_EQ(server_.traffic.calls(), ++calls);
  }
  server_.traffic.SetFaults({.fail_first = 1, .code = grpc::StatusCode::INTERNAL});
  EXPECT_THAT(MakeClient().Tokenize({}), StatusIs(absl::StatusCode::kInternal, _));
  EXPECT_EQ(server_.traffic.calls(), ++calls);
}

TEST_F(ClientTest, WhoMeasuresTriesNothingAgain) {
  const Client once(*Connect({.server = server_.address()}), absl::Minutes(1), Retries::kNone);
  server_.traffic.SetFaults({.fail_first = 1});
  EXPECT_THAT(once.Tokenize({}), StatusIs(absl::StatusCode::kUnavailable, _));
  server_.traffic.SetFaults(
      {.fail_first = 1, .code = grpc::StatusCode::RESOURCE_EXHAUSTED, .reason = "QUEUE_FULL"});
  EXPECT_THAT(once.Tokenize({}), StatusIs(absl::StatusCode::kResourceExhausted, _));
  EXPECT_EQ(server_.traffic.calls(), 2);
}

TEST_F(ClientTest, AnAnswerThatHasBegunIsNotAskedForAgain) {
  server_.traffic.SetFaults({.break_stream_after = 2});
  v1::GenerateRequest request;
  request.set_text("abc");
  std::string text;
  const auto end = MakeClient().GenerateStream(request, [&](const v1::Choice& piece) {
    text += piece.text();
    return Reader::kGoOn;
  });
  EXPECT_THAT(end, StatusIs(absl::StatusCode::kUnavailable, _));
  EXPECT_EQ(text, "cb");
}

// Between two attempts, or before there is a connection, nobody was too slow to answer.
TEST_F(ClientTest, TheTimeoutBoundsACallAndDoesNotHideThatNobodyIsThere) {
  server_.traffic.SetFaults({.fail_first = 1000});
  EXPECT_THAT(MakeClient(absl::Milliseconds(50)).Tokenize({}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("purpose")));
  server_.SetReady(false);
  EXPECT_THAT(MakeClient(absl::Milliseconds(50)).Tokenize({}),
              StatusIs(absl::StatusCode::kUnavailable, _));
}

TEST_F(ClientTest, ASlowServerIsADeadline) {
  const auto channel = *Connect({.server = server_.address()});
  ASSERT_OK(Client(channel).Tokenize({}));
  server_.traffic.SetFaults({.longest_delay_ms = 1000});  // the first of the sequence is 417
  EXPECT_THAT(Client(channel, absl::Milliseconds(100)).Tokenize({}),
              StatusIs(absl::StatusCode::kDeadlineExceeded, _));
}

}  // namespace
}  // namespace dyad::client
