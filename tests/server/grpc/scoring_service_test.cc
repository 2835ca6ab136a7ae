// The handlers of ScoringService, with requests as README.md writes them in JSON. What calls
// answer: score_call_test.cc and minimal_pairs_call_test.cc.
#include <google/protobuf/util/json_util.h>

#include <map>

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

TEST(ScoringServiceTest, ChoicesComeInTheStreamOfPairs) {
  Stack stack;
  v1::ScoreMinimalPairsRequest request;
  request.set_model("bytes");
  request.set_convention(v1::CONVENTION_CONDITIONAL);
  v1::MinimalPair& pair = *request.add_pairs();
  pair.set_index(1);
  pair.set_good("xy");
  pair.set_bad("xz");
  v1::ChoiceSet& choice = *request.add_choice_sets();
  choice.set_index(2);
  for (const char* text : {"one", "two", "three"}) choice.add_options()->set_text(text);
  request.add_choice_sets()->set_index(3);
  grpc::ClientContext context;
  const auto stream = stack.scoring->ScoreMinimalPairs(&context);
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->WritesDone());
  int pairs = 0;
  std::map<int64_t, v1::ChoiceScore> choices;
  v1::ScoreMinimalPairsResponse message;
  while (stream->Read(&message)) {
    pairs += message.results_size();
    for (const auto& result : message.choices()) choices.emplace(result.index(), result);
  }
  ASSERT_TRUE(stream->Finish().ok());
  EXPECT_EQ(pairs, 1);
  ASSERT_EQ(choices.size(), 2u);
  ASSERT_EQ(choices.at(2).sums_size(), 3);
  double sum = 0;
  for (const auto& score :
       stack.model.ExpectedScores(std::vector<int32_t>{kEnd, 't', 'w', 'o'}, 1, 0)) {
    sum += score.logprob;
  }
  EXPECT_EQ(choices.at(2).sums(1), sum);
  EXPECT_EQ(choices.at(3).error().code(), 3);
  EXPECT_TRUE(stack.ComesToRest());
}

}  // namespace
}  // namespace dyad
