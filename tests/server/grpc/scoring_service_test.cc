// The handlers of ScoringService, with requests as README.md writes them in JSON. What calls
// answer: score_call_test.cc and minimal_pairs_call_test.cc.
#include <google/protobuf/util/json_util.h>

#include "tests/server/grpc/service_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;

template <typename Message>
Message FromJson(const std::string& json) {
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &message);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return message;
}

TEST(ScoringServiceTest, ScoreRequestInJson) {
  Stack stack;
  const auto request = FromJson<v1::ScoreRequest>(R"json({
    "model": "bytes",
    "convention": "CONVENTION_BABYLM",
    "items": [
      {"text": "The cats sleep."},
      {"context_text": "The cat ", "text": "sleeps."},
      {"ids": {"ids": [2, 100, 33]}, "context_ids": {"ids": [4]}}
    ],
    "top_n": 3
  })json");
  v1::ScoreResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stack.scoring->Score(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.convention(), v1::CONVENTION_BABYLM);
  ASSERT_EQ(response.scores_size(), 3);
  EXPECT_EQ(response.scores(0).ids(0), kEnd);
  EXPECT_EQ(response.scores(1).scored_tokens(), 8);  // " sleeps."
  EXPECT_THAT(response.scores(2).scored(), ElementsAre(false, true, true, true));
  EXPECT_EQ(response.scores(2).top(1).tokens_size(), 3);
}

TEST(ScoringServiceTest, MinimalPairsInJson) {
  Stack stack;
  const auto request = FromJson<v1::ScoreMinimalPairsRequest>(R"json({
    "model": "bytes",
    "convention": "CONVENTION_LM_EVAL",
    "pairs": [{"index": "7", "good": "The cats sleep.", "bad": "The cats sleeps."}]
  })json");
  grpc::ClientContext context;
  auto stream = stack.scoring->ScoreMinimalPairs(&context);
  EXPECT_TRUE(stream->Write(request));
  EXPECT_TRUE(stream->WritesDone());
  v1::ScoreMinimalPairsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.results(0).index(), 7);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(ScoringServiceTest, RefusalsAreRecorded) {
  Stack stack;
  v1::ScoreResponse response;
  grpc::ClientContext context;
  const auto request = FromJson<v1::ScoreRequest>(R"json({"model": "bytes"})json");
  EXPECT_EQ(BadField(stack.scoring->Score(&context, request, &response)), "items");
  EXPECT_EQ(stack.observer.Await(0).code, "INVALID_ARGUMENT");
}

}  // namespace
}  // namespace dyad
