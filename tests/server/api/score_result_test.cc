// Sums, means and pairs from scores made by hand.
#include "server/api/score_result.h"

#include "tests/server/api/api_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Scores = std::vector<engine::TokenScore>;

TEST(TotalTest, AddsInOrderInDouble) {
  const Scores scores = {{-1e8f, 1, {}}, {-0.25f, 2, {}}, {-0.25f, 3, {}}};
  EXPECT_EQ(Total(scores).sum, -100000000.5);  // float would lose the half
  EXPECT_EQ(Total(scores).mean, -100000000.5 / 3);
  EXPECT_EQ(Total({}).sum, 0);
  EXPECT_EQ(Total({}).mean, 0);
}

TEST(ToTextScoreTest, AlignsScoresWithTheEndOfTheIds) {
  const ByteTokenizer tokenizer;
  const ServedModel model = FakeModels(tokenizer, {}, nullptr)[0];
  const ScoreInput input = {{kEnd, 'a', 0xC3, 0xA9}, {0, 0, 1, 2}, 2};
  const Scores scores = {{-2, 5, {{'q', -1}}}, {-3, 1, {{0xA9, -3}}}};
  const v1::TextScore result = ToTextScore(model, input, scores);
  EXPECT_THAT(result.scored(), ElementsAre(false, false, true, true));
  EXPECT_THAT(result.logprobs(), ElementsAre(0, 0, -2, -3));
  EXPECT_THAT(result.greedy(), ElementsAre(false, false, false, true));
  EXPECT_THAT(result.ranks(), ElementsAre(0, 0, 5, 1));
  EXPECT_THAT(result.texts(), ElementsAre("</s>", "a", "\uFFFD", "\uFFFD"));
  EXPECT_THAT(result.byte_offsets(), ElementsAre(0, 0, 1, 2));
  ASSERT_EQ(result.top_size(), 4);
  EXPECT_THAT(result.top(1).tokens(), IsEmpty());
  EXPECT_EQ(result.top(2).tokens(0).id(), 'q');
  EXPECT_EQ(result.top(2).tokens(0).text(), "q");
  EXPECT_EQ(result.sum(), -5);
  EXPECT_EQ(result.mean(), -2.5);
  EXPECT_EQ(result.scored_tokens(), 2);
}

TEST(ToTextScoreTest, WhatIsNotAskedForAtTheEndIsNotScored) {
  const ByteTokenizer tokenizer;
  const ServedModel model = FakeModels(tokenizer, {}, nullptr)[0];
  ScoreInput input = {{kEnd, 'a', 'b', 'c'}, {0, 0, 1, 2}, 1};
  input.not_scored = 2;
  const v1::TextScore result = ToTextScore(model, input, Scores{{-2, 5, {}}});
  EXPECT_THAT(result.scored(), ElementsAre(false, true, false, false));
  EXPECT_THAT(result.logprobs(), ElementsAre(0, -2, 0, 0));
  EXPECT_EQ(result.sum(), -2);
  EXPECT_EQ(result.scored_tokens(), 1);
}

TEST(ToTextScoreTest, PlacesOfSetsAreOneMoreThanTokens) {
  const ByteTokenizer tokenizer;
  const ServedModel model = FakeModels(tokenizer, {.vocab_size = kByteVocabulary}, nullptr)[0];
  ScoreInput input = {{kEnd, kThe, kSpaceA}, {0, 0, 3}, 1};
  input.spans = {v1::WORD_CORRECTION_OH_SCHULER, {{{0, 3}, 1, 1, 0}, {{4, 5}, 2, 1, 0}}, {}};
  input.sets = {1, 1, 1};
  const v1::TextScore result =
      ToTextScore(model, input, Scores{{-2, 5, {}, -0.5}, {-1, 1, {}, -0.25}, {0, 1, {}, -0.125}});
  EXPECT_THAT(result.boundary_logprobs(), ElementsAre(0, -0.5, -0.25, -0.125));
  EXPECT_EQ(result.sum(), -3);
  EXPECT_EQ(result.scored_tokens(), 2);
  EXPECT_EQ(result.words(0).logprob(), -2 - 0.25) << "the first begins with no blank";
  EXPECT_EQ(result.words(1).logprob(), -1 + 0.25 - 0.125);
}

class PairTest : public ::testing::Test {
 protected:
  v1::PairScore Result(v1::Convention convention) {
    return ToPairScore(**FindConvention(convention), {good_, good_scores_}, {bad_, bad_scores_});
  }

  ScoreInput good_{{9, 1, 2}, {}, 1};
  ScoreInput bad_{{9, 1, 3, 4}, {}, 1};
  Scores good_scores_ = {{-3, 1, {}}, {-3, 1, {}}};
  Scores bad_scores_ = {{-2, 1, {}}, {-2, 1, {}}, {-2.5, 1, {}}};
};

TEST_F(PairTest, TheConventionDecidesBySumOrMean) {
  const v1::PairScore by_sum = Result(v1::CONVENTION_LM_EVAL);
  EXPECT_EQ(by_sum.good_sum(), -6);
  EXPECT_EQ(by_sum.bad_sum(), -6.5);
  EXPECT_EQ(by_sum.margin(), 0.5);
  EXPECT_TRUE(by_sum.correct());
  EXPECT_FALSE(by_sum.tie());
  EXPECT_EQ(by_sum.first_difference(), 2);
  EXPECT_EQ(by_sum.good_scored_tokens(), 2);
  EXPECT_EQ(by_sum.bad_scored_tokens(), 3);
  const v1::PairScore by_mean = Result(v1::CONVENTION_MINICONS_MEAN);
  EXPECT_EQ(by_mean.margin(), -3.0 - -6.5 / 3);
  EXPECT_FALSE(by_mean.correct());
}

TEST_F(PairTest, ABeginningDiffersWhereItEnds) {
  bad_.ids = {9, 1};
  EXPECT_EQ(Result(v1::CONVENTION_LM_EVAL).first_difference(), 2);
}

TEST_F(PairTest, ATieCountsForGood) {
  bad_ = good_;
  bad_scores_ = good_scores_;
  const v1::PairScore result = Result(v1::CONVENTION_LM_EVAL);
  EXPECT_TRUE(result.tie());
  EXPECT_TRUE(result.correct());
  EXPECT_EQ(result.margin(), 0);
  EXPECT_FALSE(result.has_first_difference());
}

TEST_F(PairTest, AChoiceTakesTheFirstOfTheBest) {
  const std::vector<ScoredText> texts = {
      {good_, good_scores_}, {bad_, bad_scores_}, {bad_, bad_scores_}};
  const v1::ChoiceScore by_sum = ToChoiceScore(**FindConvention(v1::CONVENTION_LM_EVAL), texts);
  EXPECT_THAT(by_sum.sums(), ElementsAre(-6, -6.5, -6.5));
  EXPECT_THAT(by_sum.scored_tokens(), ElementsAre(2, 3, 3));
  EXPECT_EQ(by_sum.best(), 0);
  EXPECT_FALSE(by_sum.tie());
  const v1::ChoiceScore by_mean =
      ToChoiceScore(**FindConvention(v1::CONVENTION_MINICONS_MEAN), texts);
  EXPECT_THAT(by_mean.means(), ElementsAre(-3, -6.5 / 3, -6.5 / 3));
  EXPECT_EQ(by_mean.best(), 1);
  EXPECT_TRUE(by_mean.tie());
}

TEST(ToComparisonErrorTest, HasCodeAndBoundedMessage) {
  const absl::Status status = absl::InvalidArgumentError(std::string(9999, 'x'));
  const auto choice = std::get<v1::ChoiceScore>(
      ToComparisonError({.index = 8, .of = ComparisonPlan::Of::kChoice}, status));
  EXPECT_EQ(choice.index(), 8);
  EXPECT_EQ(choice.error().code(), 3);
  const auto result = std::get<v1::PairScore>(ToComparisonError({.index = 7}, status));
  EXPECT_EQ(result.index(), 7);
  EXPECT_EQ(result.error().code(), 3);
  EXPECT_LE(result.error().message().size(), 1024u);
  EXPECT_THAT(result.error().message(), HasSubstr("xxx"));
}

}  // namespace
}  // namespace dyad
