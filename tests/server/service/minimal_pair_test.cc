// One pair, cranked by hand in the engine's place.
#include "server/service/minimal_pair.h"

#include "tests/server/service/service_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;

class MinimalPairTest : public ::testing::Test, protected PairOwner {
 protected:
  MinimalPairTest() {
    options_.model = &models_[0];
    options_.row = *FindConvention(v1::LM_EVAL);
  }
  bool PairsWanted() const override { return wanted_; }
  void OnPairEnd(PairInFlight* pair) override {
    ++ends_;
    pair_.reset(pair);
  }
  // Creates pair 5 and leaves it to itself, as while the engine has it.
  std::vector<engine::Submission> Submit(const std::string& good, const std::string& bad) {
    v1::MinimalPair proto;
    proto.set_index(5);
    proto.set_good(good);
    proto.set_bad(bad);
    auto created = PairInFlight::Create(options_, limits_, proto, *this);
    EXPECT_OK(created);
    pair_ = *std::move(created);
    auto submissions = pair_->Submissions(absl::InfiniteFuture());
    if (!submissions.empty()) pair_.release();
    return submissions;
  }

  ByteTokenizer tokenizer_;
  std::vector<ServedModel> models_ =
      FakeModels(tokenizer_, {.vocab_size = kByteVocabulary, .context_length = 20}, nullptr);
  RequestLimits limits_;
  PairOptions options_;
  bool wanted_ = true;
  int ends_ = 0;
  std::unique_ptr<PairInFlight> pair_;
};

TEST_F(MinimalPairTest, EndsWhenBothSentencesHave) {
  const auto submissions = Submit("a", "bc");
  ASSERT_EQ(submissions.size(), 2u);
  EXPECT_EQ(submissions[0].request.ids, (std::vector<int32_t>{kEnd, kSpaceA}));
  EXPECT_EQ(submissions[1].request.ids, (std::vector<int32_t>{kEnd, ' ', 'b', 'c'}));
  EXPECT_EQ(submissions[0].request.score_from, 1);
  const std::vector<engine::TokenScore> one = {{-1, 1, {}}};
  const std::vector<engine::TokenScore> three = {{-1, 1, {}}, {-1, 1, {}}, {-1, 1, {}}};
  submissions[1].sink->OnScores(three);
  engine::Outcome outcome;
  outcome.cached_tokens = 2;
  submissions[1].sink->OnEnd(outcome);
  EXPECT_EQ(ends_, 0);
  submissions[0].sink->OnScores(one);
  submissions[0].sink->OnEnd(outcome);
  ASSERT_EQ(ends_, 1);
  const v1::PairScore result = pair_->Result();
  EXPECT_EQ(result.index(), 5);
  EXPECT_EQ(result.margin(), 2);
  EXPECT_FALSE(result.has_good());
  EXPECT_EQ(pair_->prompt_tokens(), 6);
  EXPECT_EQ(pair_->scored_tokens(), 4);
  EXPECT_EQ(pair_->cached_tokens(), 4);
}

TEST_F(MinimalPairTest, TheFirstFailureIsItsStatus) {
  const auto submissions = Submit("a", "b");
  engine::Outcome outcome;
  outcome.status = absl::InternalError("first");
  submissions[0].sink->OnEnd(outcome);
  outcome.status = absl::CancelledError("second");
  submissions[1].sink->OnEnd(outcome);
  ASSERT_EQ(ends_, 1);
  EXPECT_THAT(pair_->status(), StatusIs(absl::StatusCode::kInternal, HasSubstr("first")));
  EXPECT_EQ(pair_->Result().error().code(), 13);
  EXPECT_EQ(pair_->Result().index(), 5);
}

TEST_F(MinimalPairTest, TheEngineIsToldThatNobodyWaits) {
  const auto submissions = Submit("a", "b");
  EXPECT_TRUE(submissions[0].sink->Wanted());
  wanted_ = false;
  EXPECT_FALSE(submissions[1].sink->Wanted());
  for (const auto& submission : submissions) submission.sink->OnEnd({});
}

TEST_F(MinimalPairTest, ASentenceOfOneTokenIsNotSubmitted) {
  options_.row = *FindConvention(v1::MINICONS_SUM);
  const auto submissions = Submit("a", "bc");
  ASSERT_EQ(submissions.size(), 1u);
  EXPECT_EQ(submissions[0].request.ids.size(), 2u);
  submissions[0].sink->OnEnd({});
  EXPECT_EQ(ends_, 1);
}

TEST_F(MinimalPairTest, TokensComeIfAskedFor) {
  options_.return_tokens = true;
  options_.row = *FindConvention(v1::CONDITIONAL);
  EXPECT_TRUE(Submit("", "").empty());
  EXPECT_EQ(pair_->Result().good().ids_size(), 1);
  EXPECT_TRUE(pair_->Result().has_bad());
}

}  // namespace
}  // namespace dyad
