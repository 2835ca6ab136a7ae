// Each unary method from JSON to JSON.
#include "server/connect/routes.h"

#include "absl/synchronization/notification.h"
#include "dyad/v1/scoring.pb.h"
#include "server/api/score_answer.h"
#include "server/connect/message_json.h"
#include "tests/server/routes/door_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;
using Json = nlohmann::json;

HttpAnswer Post(const DoorStack& stack, const std::string& method, const Json& body,
                const std::string& fields = "") {
  return stack.Ask("POST /dyad.v1." + method, body.dump(),
                   "Content-Type: application/json\r\nConnect-Protocol-Version: 1\r\n" + fields);
}

TEST(ConnectRoutesTest, EachMethodAnswers) {
  DoorStack stack;
  const HttpAnswer generated =
      Post(stack, "GenerationService/Generate",
           {{"model", "bytes"}, {"text", "ab"}, {"max_new_tokens", 3}, {"ignore_eos", true}});
  ASSERT_EQ(generated.status, 200) << generated.body;
  EXPECT_EQ(generated.json()["choices"][0]["finish_reason"], "FINISH_REASON_LENGTH");
  EXPECT_EQ(generated.json()["model_digest"], "d1");
  EXPECT_TRUE(generated.HasField("x-dyad-model-digest: d1"));
  const HttpAnswer tokens =
      Post(stack, "TokenizerService/Tokenize", {{"model", "bytes"}, {"text", "ab"}});
  EXPECT_EQ(tokens.json()["ids"].dump(), "[256,97,98]") << tokens.body;
  EXPECT_EQ(Post(stack, "TokenizerService/Detokenize", {{"model", "bytes"}, {"ids", {97, 98}}})
                .json()["text"],
            "ab");
  EXPECT_EQ(Post(stack, "ModelService/ListModels", Json::object()).json()["models"].size(), 2u);
  EXPECT_EQ(Post(stack, "ModelService/GetModel", {{"model", "ids"}}).json()["model"]["digest"],
            "d2");
  EXPECT_EQ(Post(stack, "ServerService/GetServerInfo", Json::object()).json()["version"],
            "the version of a test");
}

TEST(ConnectRoutesTest, ScoresHaveTheirBits) {
  DoorStack stack;
  const HttpAnswer answer = Post(stack, "ScoringService/Score",
                                 {{"model", "bytes"},
                                  {"convention", "CONVENTION_CONDITIONAL"},
                                  {"items", {{{"text", "two"}}, {{"text", "three"}}}},
                                  {"words", {{"correction", "WORD_CORRECTION_OH_SCHULER"}}}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  v1::ScoreResponse read;
  ASSERT_OK(ReadMessageJson(answer.body, read));
  v1::ScoreRequest request;
  request.set_model("bytes");
  request.set_convention(v1::CONVENTION_CONDITIONAL);
  request.add_items()->set_text("two");
  request.add_items()->set_text("three");
  request.mutable_words()->set_correction(v1::WORD_CORRECTION_OH_SCHULER);
  Call call(stack.state, {.method = "S/M", .peer = "p"});
  auto plan = PlanScore(request, call);
  ASSERT_OK(plan);
  absl::Notification ended;
  v1::ScoreResponse expected;
  ScoreAnswer direct(*std::move(plan), call, [&](const absl::StatusOr<ScorePieces>& pieces) {
    for (const std::string& piece : pieces.value()) expected.MergeFromString(piece);
    ended.Notify();
  });
  direct.Start();
  ended.WaitForNotification();
  ASSERT_EQ(read.scores_size(), 2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(read.scores(i).SerializeAsString(), expected.scores(i).SerializeAsString()) << i;
  }
}

TEST(ConnectRoutesTest, ErrorsAreConnects) {
  DoorStack stack;
  const Json score = {{"items", {{{"text", "a"}}}}};
  struct Row {
    HttpAnswer answer;
    int status;
    const char* code;
    const char* says;
  };
  for (const Row& row : std::vector<Row>{
           {Post(stack, "ScoringService/Score", score), 404, "not_found", "bytes, ids"},
           {Post(stack, "ScoringService/Score", {{"itms", 1}}), 400, "invalid_argument", "items"},
           {Post(stack, "ScoringService/ScoreMinimalPairs", score), 404, "unimplemented", "stream"},
           {Post(stack, "ScoringService/None", score), 404, "unimplemented", "no method"},
           {stack.Get("/dyad.v1.ScoringService/Score"), 405, "invalid_argument", "POST"},
           {stack.Ask("POST /dyad.v1.ScoringService/Score", "{}", ""), 415, "invalid_argument",
            "application/json"},
           {Post(stack, "ScoringService/Score", score, "Connect-Timeout-Ms: 1s\r\n"), 400,
            "invalid_argument", "Connect-Timeout-Ms"},
           {Post(stack, "ScoringService/Score", {{"model", "bytes"}, {"items", {{{"text", "a"}}}}},
                 "Connect-Timeout-Ms: 0\r\n"),
            504, "deadline_exceeded", ""}}) {
    EXPECT_EQ(row.answer.status, row.status) << row.answer.body;
    EXPECT_EQ(row.answer.json()["code"], row.code) << row.answer.body;
    EXPECT_THAT(row.answer.json().value("message", ""), HasSubstr(row.says));
  }
}

TEST(ConnectRoutesTest, AModelMayStandInThePath) {
  DoorStack stack;
  const auto ask = [&](const Json& body) {
    return stack.Ask("POST /models/bytes/dyad.v1.TokenizerService/Tokenize", body.dump());
  };
  EXPECT_EQ(ask({{"text", "a"}}).status, 200);
  EXPECT_EQ(ask({{"text", "a"}, {"model", "bytes"}}).status, 200);
  const HttpAnswer other = ask({{"text", "a"}, {"model", "ids"}});
  EXPECT_EQ(other.status, 400);
  EXPECT_EQ(other.json()["code"], "invalid_argument");
}

TEST(ConnectRoutesTest, ALeavingClientLeavesNothing) {
  StackOptions options;
  options.model.step_time = std::chrono::milliseconds(5);
  DoorStack stack(options);
  const std::string body =
      R"({"model": "bytes", "text": "ab", "max_new_tokens": 200, "ignore_eos": true})";
  {
    RawClient client(stack.server->port());
    client.Send(absl::StrCat(
        "POST /dyad.v1.GenerationService/Generate HTTP/1.1\r\nHost: localhost\r\n",
        "Content-Type: application/json\r\nContent-Length: ", body.size(), "\r\n\r\n", body));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(stack.ComesToRest());
  EXPECT_EQ(stack.observer.Await(0).code, "CANCELLED");
}

}  // namespace
}  // namespace dyad
