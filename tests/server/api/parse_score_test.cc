// ScoreRequest: which layout an item gets, and what is refused. Layouts themselves:
// convention_test.cc.
#include "server/api/parse_score.h"

#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::AllOf;
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
  EXPECT_EQ(plan->row->convention, v1::CONVENTION_LM_EVAL);
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

TEST_F(ParseScoreTest, AllWrongItemsAreNamed) {
  request_.add_items()->set_text(std::string(30, 'x'));
  request_.add_items()->set_text("x");
  request_.add_items();
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument,
                                AllOf(HasSubstr("items[0].text is 32 tokens"),
                                      HasSubstr("items[2] is without content"))));
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

TEST_F(ParseScoreTest, TextAndContextAreBoundedEachForItselfAsTheyWereSent) {
  limits_.max_prompt_bytes = 5;
  struct Case {
    const char* context;
    const char* text;
    const char* refused;
  };
  for (const v1::Convention convention :
       {v1::CONVENTION_LM_EVAL, v1::CONVENTION_BABYLM, v1::CONVENTION_CONDITIONAL}) {
    for (const Case& sent :
         {Case{nullptr, "1234", ""}, Case{nullptr, "12345", ""},
          Case{nullptr, "123456", "items[0].text is 6 bytes"}, Case{"12345", "12345", ""},
          Case{"123456", "12345", "items[0].context_text is 6 bytes"},
          Case{"      ", "12345", "items[0].context_text is 6 bytes"},
          Case{"12345", "123456", "items[0].text is 6 bytes"}}) {
      request_.set_convention(convention);
      request_.clear_items();
      v1::ScoreItem& item = *request_.add_items();
      item.set_text(sent.text);
      if (sent.context != nullptr) item.set_context_text(sent.context);
      const std::string message(Parse().status().message());
      if (*sent.refused == '\0') {
        EXPECT_EQ(message, "") << sent.text;
      } else {
        EXPECT_THAT(message, HasSubstr(sent.refused));
        EXPECT_THAT(message, HasSubstr("at most 5 bytes"));
      }
    }
  }
}

TEST_F(ParseScoreTest, AWindowIsWithinTheContext) {
  request_.add_items()->set_text(std::string(50, 'x'));
  request_.mutable_window();
  const auto plan = Parse();
  ASSERT_OK(plan);
  ASSERT_EQ(plan->inputs[0].windows.size(), 3u);  // 52 tokens, 21 and then 20 at a time
  EXPECT_EQ(plan->inputs[0].windows[0].end, 21);
  EXPECT_EQ(plan->inputs[0].windows[2].begin, 52 - 21);
  request_.mutable_words()->set_correction(v1::WORD_CORRECTION_OH_SCHULER);
  EXPECT_EQ(Parse()->inputs[0].windows[0].end, 20) << "the last token is fed";
  request_.clear_words();
  const auto refused = [&](int32_t tokens, int32_t stride, const char* message) {
    request_.mutable_window()->set_tokens(tokens);
    request_.mutable_window()->set_stride(stride);
    EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  refused(1, 0, "window.tokens is 1; must be in [2, 21]");
  refused(22, 0, "window.tokens is 22; must be in [2, 21]");
  refused(5, 5, "window.stride is 5; must be in [1, 4]");
  refused(5, -1, "window.stride is -1; must be in [1, 4]");
  refused(21, 10, "window is of 21 tokens and stride 10; must give at most 3 windows");
}

TEST_F(ParseScoreTest, EachWindowAsksForItsOwnScoresAndSets) {
  request_.add_items()->set_text(std::string(30, 'x'));
  request_.mutable_window()->set_tokens(20);
  request_.mutable_window()->set_stride(15);
  request_.mutable_words()->set_correction(v1::WORD_CORRECTION_PIMENTEL_MEISTER);
  const auto plan = Parse();
  ASSERT_OK(plan);
  const auto windows = FedWindows(plan->inputs[0]);
  ASSERT_EQ(windows.size(), 2u);
  const auto first = ToEngineRequest(*plan->model, plan->inputs[0], windows[0], 0, {});
  EXPECT_EQ(first.ids.size(), 20u);
  EXPECT_EQ(first.score_from, 1);
  EXPECT_EQ(first.sets.size(), 20u);
  EXPECT_EQ(first.sets.back(), 0) << "the next window's";
  const auto second = ToEngineRequest(*plan->model, plan->inputs[0], windows[1], 0, {});
  EXPECT_EQ(second.ids.size(), 20u);
  EXPECT_EQ(second.score_from, 8);
  EXPECT_EQ(second.sets, std::vector<uint8_t>(13, kBeginsWordOrEnds));
}

class ParsePairTest : public ParseScoreTest {
 protected:
  ParsePairTest() {
    options_.model = &models_.models()[0];
    options_.row = *FindConvention(v1::CONVENTION_LM_EVAL);
    pair_.set_good("the");
    pair_.set_bad("thy");
  }
  absl::StatusOr<ComparisonPlan> Parse() { return ParsePair(pair_, options_, limits_); }

  PairOptions options_;
  v1::MinimalPair pair_;
};

TEST_F(ParsePairTest, BothSentencesStandAfterTheContext) {
  EXPECT_THAT(Parse()->texts[0].ids, ElementsAre(kEnd, kSpaceThe));
  pair_.set_context("a ");
  EXPECT_THAT(Parse()->texts[0].ids, ElementsAre('a', kSpaceThe));
  EXPECT_THAT(Parse()->texts[1].ids, ElementsAre('a', ' ', 't', 'h', 'y'));
  pair_.set_context("");
  EXPECT_THAT(Parse()->texts[0].ids, ElementsAre(kEnd, kThe)) << "a context, though an empty one";
}

TEST_F(ParsePairTest, EachSentenceMustHaveATokenToScore) {
  for (const v1::Convention convention :
       {v1::CONVENTION_BABYLM, v1::CONVENTION_MINICONS_SUM, v1::CONVENTION_MINICONS_MEAN}) {
    options_.row = *FindConvention(convention);
    EXPECT_OK(Parse());
    pair_.set_good("");  // "</s>" alone
    EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument,
                                  HasSubstr("good is left without a token to score")));
    pair_.set_good("the x");
  }
  pair_.set_context("a t");
  pair_.set_bad("he");
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("bad is left")));
  options_.row = *FindConvention(v1::CONVENTION_CONDITIONAL);
  pair_.clear_context();
  pair_.set_good("");
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("good is left")));
}

TEST_F(ParsePairTest, TokensThatNoMessageHoldsAreRefusedBefore) {
  limits_.max_send_message_bytes = 20;
  EXPECT_OK(Parse());
  options_.return_tokens = ReturnTokens::kYes;
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("the answer has")));
}

TEST_F(ParsePairTest, OptionsOfAChoiceAreItems) {
  v1::ChoiceSet choice;
  choice.set_index(4);
  choice.add_options()->set_text("the");
  v1::ScoreItem& after = *choice.add_options();
  after.set_context_text("a ");
  after.set_text("the cat");
  after.mutable_scored()->set_begin(4);
  after.mutable_scored()->set_end(5);
  const auto plan = ParseChoice(choice, options_, limits_);
  ASSERT_OK(plan);
  EXPECT_EQ(plan->index, 4);
  EXPECT_THAT(plan->texts[0].ids, ElementsAre(kEnd, kSpaceThe));
  EXPECT_EQ(plan->texts[1].scored_tokens(), 1);
  const auto refused = [&](const char* message) {
    EXPECT_THAT(ParseChoice(choice, options_, limits_),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  choice.mutable_options(1)->mutable_scored()->set_end(9);
  refused("options[1].scored is [4, 9)");
  choice.mutable_options(1)->Clear();
  refused("options[1] is without content");
  choice.mutable_options(1)->mutable_ids()->add_ids(3);
  refused("options[1] is left without a token to score");
  choice.clear_options();
  refused("options is 0 long; must have 2 to 64 entries");
  for (int i = 0; i < 65; ++i) choice.add_options()->set_text("x");
  refused("options is 65 long");
}

TEST_F(ParsePairTest, LaterMessagesAskForTheSameOrForNothing) {
  options_.special_tokens = SpecialTokens::kLiteral;
  v1::ScoreMinimalPairsRequest later;
  EXPECT_OK(CheckSameOptions(later, options_));
  later.set_model("bytes");
  later.set_convention(v1::CONVENTION_LM_EVAL);
  later.set_special_tokens(v1::SPECIAL_TOKENS_LITERAL);
  EXPECT_OK(CheckSameOptions(later, options_));
  const auto refused = [&](const auto& change, const char* field) {
    v1::ScoreMinimalPairsRequest other = later;
    change(other);
    EXPECT_THAT(CheckSameOptions(other, options_),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(field)));
  };
  refused([](auto& other) { other.set_model("ids"); }, "model is ids; must be unset or as in");
  refused([](auto& other) { other.set_convention(v1::CONVENTION_BABYLM); }, "convention is 2");
  refused([](auto& other) { other.set_special_tokens(v1::SPECIAL_TOKENS_PARSE); },
          "special_tokens is 1");
  refused([](auto& other) { other.set_return_tokens(true); }, "return_tokens is true");
}

TEST_F(ParseScoreTest, TheEngineIsAskedForScoresAndNothingElse) {
  const ScoreInput input = {{4, 5, 6}, {}, 2};
  const absl::Time deadline = absl::FromUnixSeconds(9);
  const engine::Request request =
      ToEngineRequest(models_.models()[0], input, FedWindows(input).front(), 7, {deadline, 5});
  EXPECT_EQ(request.ids, input.ids);
  EXPECT_EQ(request.score_from, 2);
  EXPECT_EQ(request.max_new_tokens, 0);
  EXPECT_EQ(request.top_n, 7);
  EXPECT_EQ(request.deadline, deadline);
  EXPECT_EQ(request.client, 5u);
  EXPECT_TRUE(request.sets.empty());
}

}  // namespace
}  // namespace dyad
