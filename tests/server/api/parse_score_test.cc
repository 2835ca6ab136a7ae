// ScoreRequest: which layout an item gets, and what is refused. Layouts themselves:
// convention_test.cc.
#include "server/api/parse_score.h"

#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ParseScoreTest : public ::testing::Test {
 protected:
  ParseScoreTest() { request_.set_model("bytes"); }
  absl::StatusOr<ScorePlan> Parse() { return ParseScore(request_, models_, limits_); }

  ByteTokenizer tokenizer_;
  RequestLimits limits_{.max_score_items = 3};
  ModelRegistry models_{
      FakeModels(tokenizer_, {.vocab_size = kByteVocabulary, .context_length = 20}, nullptr)};
  v1::ScoreRequest request_;
};

TEST_F(ParseScoreTest, EachKindOfItemGetsItsLayout) {
  request_.add_items()->set_text("x");
  v1::ScoreItem& after = *request_.add_items();
  after.set_context_text("a ");
  after.set_text("the");
  v1::ScoreItem& ids = *request_.add_items();
  ids.mutable_context_ids()->add_ids(1);
  ids.mutable_ids()->add_ids(2);
  const auto plan = Parse();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->row->convention, v1::LM_EVAL);
  EXPECT_THAT(plan->inputs[0].ids, ElementsAre(kEnd, ' ', 'x'));
  EXPECT_THAT(plan->inputs[1].ids, ElementsAre('a', kSpaceThe));
  EXPECT_THAT(plan->inputs[2].ids, ElementsAre(1, 2));
  for (const ScoreInput& input : plan->inputs) EXPECT_EQ(input.scored_from, 1);
}

TEST_F(ParseScoreTest, AnEmptyContextThatIsSetIsAContext) {
  v1::ScoreItem& item = *request_.add_items();
  item.set_text("the");
  item.set_context_text("");
  EXPECT_THAT(Parse()->inputs[0].ids, ElementsAre(kEnd, kThe)) << "no leading space";
}

TEST_F(ParseScoreTest, TheNumberOfItemsIsBounded) {
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("items is 0 long; must have 1 to 3 entries")));
  for (int i = 0; i < 4; ++i) request_.add_items()->set_text("x");
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("items is 4 long")));
}

TEST_F(ParseScoreTest, MixedAndMissingContentIsRefused) {
  v1::ScoreItem& item = *request_.add_items();
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("items[0] is without content")));
  item.set_text("x");
  item.mutable_context_ids()->add_ids(1);
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("items[0].context_ids is set; must not be mixed")));
  item.mutable_ids()->add_ids(1);
  item.set_context_text("c");
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("items[0].context_text is set; must not be mixed")));
}

TEST_F(ParseScoreTest, OptionsAreChecked) {
  request_.add_items()->set_text("x");
  request_.set_top_n(21);
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("top_n is 21; must be in [0, 20]")));
  request_.set_top_n(20);
  EXPECT_EQ(Parse()->top_n, 20);
  request_.set_convention(static_cast<v1::Convention>(6));
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("convention is 6")));
  request_.set_model("none");
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("model is none")));
}

TEST(ToEngineRequestTest, AsksForScoresAndNothingElse) {
  const ScoreInput input = {{4, 5, 6}, {}, 2};
  const absl::Time deadline = absl::FromUnixSeconds(9);
  const engine::Request request = ToEngineRequest(input, 7, deadline);
  EXPECT_EQ(request.ids, input.ids);
  EXPECT_EQ(request.score_from, 2);
  EXPECT_EQ(request.max_new_tokens, 0);
  EXPECT_EQ(request.top_n, 7);
  EXPECT_EQ(request.deadline, deadline);
}

}  // namespace
}  // namespace dyad
