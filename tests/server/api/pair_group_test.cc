// Groups of pairs, cranked by hand in the engine's place.
#include "server/api/pair_group.h"

#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PairGroupTest : public ::testing::Test {
 protected:
  PairGroupTest() {
    options_.model = &models_.models()[0];
    options_.row = *FindConvention(v1::CONVENTION_LM_EVAL);
  }
  // A group of pairs 5, 6 … that the engine is to run.
  std::vector<engine::Submission> Submit(std::vector<std::pair<std::string, std::string>> pairs) {
    std::vector<PairPlan> plans;
    for (const auto& [good, bad] : pairs) {
      v1::MinimalPair proto;
      proto.set_index(5 + static_cast<int64_t>(plans.size()));
      proto.set_good(good);
      proto.set_bad(bad);
      auto plan = ParsePair(proto, options_, {});
      EXPECT_OK(plan);
      plans.push_back(*std::move(plan));
    }
    group_.emplace(options_, std::move(plans), /*client=*/1, [this](PairGroup& group) {
      EXPECT_EQ(&group, &*group_);
      ++ends_;
    });
    return group_->TakeSubmissions();
  }
  RpcRecord Record() {
    Call call(state_, {.method = "S/M"});
    group_->AddTo(call);
    return call.record();
  }

  ByteTokenizer tokenizer_;
  const ModelRegistry models_{
      FakeModels(tokenizer_, {.vocab_size = kByteVocabulary, .context_length = 20}, nullptr)};
  const ServerState state_{models_, {}, nullptr};
  PairOptions options_;
  int ends_ = 0;
  std::optional<PairGroup> group_;
};

TEST_F(PairGroupTest, EndsWhenBothSentencesHave) {
  const auto submissions = Submit({{"a", "bc"}});
  ASSERT_EQ(submissions.size(), 2u);
  EXPECT_EQ(submissions[0].request.ids, (std::vector<int32_t>{kEnd, kSpaceA}));
  EXPECT_EQ(submissions[1].request.ids, (std::vector<int32_t>{kEnd, ' ', 'b', 'c'}));
  EXPECT_EQ(submissions[0].request.score_from, 1);
  const std::vector<engine::TokenScore> one = {{-1, 1, {}}};
  const std::vector<engine::TokenScore> three = {{-1, 1, {}}, {-1, 1, {}}, {-1, 1, {}}};
  submissions[1].sink->OnScores(three);
  engine::Outcome outcome;
  outcome.cached_tokens = 2;
  outcome.timing.prefill = absl::Seconds(3);
  submissions[1].sink->OnEnd(outcome);
  EXPECT_EQ(ends_, 0);
  submissions[0].sink->OnScores(one);
  submissions[0].sink->OnEnd(outcome);
  ASSERT_EQ(ends_, 1);
  const v1::PairScore result = group_->Results().at(0);
  EXPECT_EQ(result.index(), 5);
  EXPECT_EQ(result.margin(), 2);
  EXPECT_FALSE(result.has_good());
  EXPECT_EQ(Record().prompt_tokens, 6);
  EXPECT_EQ(Record().scored_tokens, 4);
  EXPECT_EQ(Record().cached_tokens, 4);
  EXPECT_EQ(Record().timing.prefill, absl::Seconds(3));
}

TEST_F(PairGroupTest, TheFirstFailureIsThePairs) {
  const auto submissions = Submit({{"a", "b"}});
  engine::Outcome outcome;
  outcome.status = absl::InternalError("first");
  submissions[0].sink->OnEnd(outcome);
  outcome.status = absl::CancelledError("second");
  submissions[1].sink->OnEnd(outcome);
  ASSERT_EQ(ends_, 1);
  EXPECT_OK(group_->failure());
  EXPECT_EQ(group_->Results().at(0).error().code(), 13);
  EXPECT_THAT(group_->Results().at(0).error().message(), HasSubstr("first"));
  EXPECT_EQ(group_->Results().at(0).index(), 5);
}

TEST_F(PairGroupTest, OnePairsFailureLeavesTheOthers) {
  const auto submissions = Submit({{"a", "b"}, {"c", "d"}, {"e", "f"}});
  ASSERT_EQ(submissions.size(), 6u);
  engine::Outcome failed;
  failed.status = absl::InternalError("hiccup");
  submissions[0].sink->OnEnd(failed);
  EXPECT_TRUE(submissions[5].sink->Wanted());
  submissions[1].sink->OnEnd({});
  submissions[2].sink->OnEnd({});
  submissions[3].sink->OnEnd({});
  failed.status = absl::UnavailableError("the server is gone");
  submissions[4].sink->OnEnd(failed);
  EXPECT_EQ(ends_, 0);
  submissions[5].sink->OnEnd({});
  ASSERT_EQ(ends_, 1);
  const std::vector<v1::PairScore> results = group_->Results();
  ASSERT_EQ(results.size(), 2u) << "the last pair's end is the stream's";
  EXPECT_TRUE(results[0].has_error());
  EXPECT_EQ(results[1].index(), 6);
  EXPECT_FALSE(results[1].has_error());
  EXPECT_THAT(group_->failure(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("is gone")));
}

TEST_F(PairGroupTest, TheEngineIsToldThatNobodyWaits) {
  const auto submissions = Submit({{"a", "b"}});
  EXPECT_TRUE(submissions[0].sink->Wanted());
  group_->Abandon();
  EXPECT_FALSE(submissions[1].sink->Wanted());
  for (const auto& submission : submissions) submission.sink->OnEnd({});
}

TEST_F(PairGroupTest, TokensComeIfAskedFor) {
  options_.return_tokens = ReturnTokens::kYes;
  options_.row = *FindConvention(v1::CONVENTION_CONDITIONAL);
  const auto submissions = Submit({{"a", "b"}});
  for (const auto& submission : submissions) {
    submission.sink->OnScores(std::vector<engine::TokenScore>{{-1, 1, {}}});
    submission.sink->OnEnd({});
  }
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(group_->Results().at(0).good().ids_size(), 2);
  EXPECT_TRUE(group_->Results().at(0).has_bad());
}

TEST_F(PairGroupTest, ARefusedGroupGivesItsPlansBack) {
  Submit({{"a", "b"}, {"c", "d"}});
  const std::vector<PairPlan> plans = group_->TakePlans();
  ASSERT_EQ(plans.size(), 2u);
  EXPECT_EQ(plans[1].index, 6);
  EXPECT_THAT(plans[1].bad.ids, ElementsAre(kEnd, ' ', 'd'));
  EXPECT_EQ(ends_, 0);
}

}  // namespace
}  // namespace dyad
