// Groups of pairs, cranked by hand in the engine's place.
#include "server/api/comparison_group.h"

#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ComparisonGroupTest : public ::testing::Test {
 protected:
  ComparisonGroupTest() {
    options_.model = &models_.models()[0];
    options_.row = *FindConvention(v1::CONVENTION_LM_EVAL);
  }
  // A group of pairs 5, 6 … that the engine is to run.
  std::vector<engine::Submission> Submit(std::vector<std::pair<std::string, std::string>> pairs) {
    std::vector<ComparisonPlan> plans;
    for (const auto& [good, bad] : pairs) {
      v1::MinimalPair proto;
      proto.set_index(5 + static_cast<int64_t>(plans.size()));
      proto.set_good(good);
      proto.set_bad(bad);
      auto plan = ParsePair(proto, options_, {});
      EXPECT_OK(plan);
      plans.push_back(*std::move(plan));
    }
    group_.emplace(options_, std::move(plans), /*client=*/1, [this](ComparisonGroup& group) {
      EXPECT_EQ(&group, &*group_);
      ++ends_;
    });
    return group_->TakeSubmissions();
  }
  v1::PairScore PairResult(size_t i) { return std::get<v1::PairScore>(group_->Results().at(i)); }
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
  std::optional<ComparisonGroup> group_;
};

TEST_F(ComparisonGroupTest, EndsWhenBothSentencesHave) {
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
  const v1::PairScore result = PairResult(0);
  EXPECT_EQ(result.index(), 5);
  EXPECT_EQ(result.margin(), 2);
  EXPECT_FALSE(result.has_good());
  EXPECT_EQ(Record().prompt_tokens, 6);
  EXPECT_EQ(Record().scored_tokens, 4);
  EXPECT_EQ(Record().cached_tokens, 4);
  EXPECT_EQ(Record().timing.prefill, absl::Seconds(3));
}

TEST_F(ComparisonGroupTest, TheFirstFailureIsThePairs) {
  const auto submissions = Submit({{"a", "b"}});
  engine::Outcome outcome;
  outcome.status = absl::InternalError("first");
  submissions[0].sink->OnEnd(outcome);
  outcome.status = absl::CancelledError("second");
  submissions[1].sink->OnEnd(outcome);
  ASSERT_EQ(ends_, 1);
  EXPECT_OK(group_->failure());
  EXPECT_EQ(PairResult(0).error().code(), 13);
  EXPECT_THAT(PairResult(0).error().message(), HasSubstr("first"));
  EXPECT_EQ(PairResult(0).index(), 5);
}

TEST_F(ComparisonGroupTest, OnePairsFailureLeavesTheOthers) {
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
  ASSERT_EQ(group_->Results().size(), 2u) << "the last pair's end is the stream's";
  EXPECT_TRUE(PairResult(0).has_error());
  EXPECT_EQ(PairResult(1).index(), 6);
  EXPECT_FALSE(PairResult(1).has_error());
  EXPECT_THAT(group_->failure(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("is gone")));
}

TEST_F(ComparisonGroupTest, TheEngineIsToldThatNobodyWaits) {
  const auto submissions = Submit({{"a", "b"}});
  EXPECT_TRUE(submissions[0].sink->Wanted());
  group_->Abandon();
  EXPECT_FALSE(submissions[1].sink->Wanted());
  for (const auto& submission : submissions) submission.sink->OnEnd({});
}

TEST_F(ComparisonGroupTest, TokensComeIfAskedFor) {
  options_.return_tokens = ReturnTokens::kYes;
  options_.row = *FindConvention(v1::CONVENTION_CONDITIONAL);
  const auto submissions = Submit({{"a", "b"}});
  for (const auto& submission : submissions) {
    submission.sink->OnScores(std::vector<engine::TokenScore>{{-1, 1, {}}});
    submission.sink->OnEnd({});
  }
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(PairResult(0).good().ids_size(), 2);
  EXPECT_TRUE(PairResult(0).has_bad());
}

TEST_F(ComparisonGroupTest, AChoiceHasAResultOfItsOwnKind) {
  options_.return_tokens = ReturnTokens::kYes;
  v1::ChoiceSet choice;
  choice.set_index(9);
  for (const char* text : {"a", "b", "c"}) choice.add_options()->set_text(text);
  for (const bool fails : {false, true}) {
    auto plan = ParseChoice(choice, options_, {});
    ASSERT_OK(plan);
    group_.emplace(options_, std::vector{*std::move(plan)}, 1, [](ComparisonGroup&) {});
    const auto submissions = group_->TakeSubmissions();
    ASSERT_EQ(submissions.size(), 3u);
    for (int i = 0; i < 3; ++i) {
      const auto& submission = submissions[static_cast<size_t>(i)];
      const auto scored = submission.request.ids.size() - 1;
      submission.sink->OnScores(
          std::vector<engine::TokenScore>(scored, {i == 1 ? -1.f : -2.f, 1, {}}));
      engine::Outcome outcome;
      if (fails && i == 2) outcome.status = absl::InternalError("hiccup");
      submission.sink->OnEnd(outcome);
    }
    const auto result = std::get<v1::ChoiceScore>(group_->Results().at(0));
    EXPECT_EQ(result.index(), 9);
    EXPECT_EQ(result.has_error(), fails);
    EXPECT_EQ(result.options_size(), fails ? 0 : 3);
    if (fails) continue;
    EXPECT_THAT(result.sums(), ElementsAre(-2, -2, -4));
    EXPECT_EQ(result.best(), 0);
    EXPECT_TRUE(result.tie());
  }
}

TEST_F(ComparisonGroupTest, ARefusedGroupGivesItsPlansBack) {
  Submit({{"a", "b"}, {"c", "d"}});
  const std::vector<ComparisonPlan> plans = group_->TakePlans();
  ASSERT_EQ(plans.size(), 2u);
  EXPECT_EQ(plans[1].index, 6);
  EXPECT_THAT(plans[1].texts.at(1).ids, ElementsAre(kEnd, ' ', 'd'));
  EXPECT_EQ(ends_, 0);
}

}  // namespace
}  // namespace dyad
