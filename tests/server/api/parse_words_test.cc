// Spans that are none of the text, words that a model cannot have, and what good ones become.
#include "server/api/parse_words.h"

#include "server/api/parse_score.h"
#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ParseWordsTest : public ::testing::Test {
 protected:
  ParseWordsTest() {
    request_.set_model("bytes");
    item_ = request_.add_items();
    item_->set_text("the \u00E9 a");  // bytes: the=0…3, é=4…6, a=7
  }
  absl::StatusOr<ScorePlan> Parse() { return ParseScore(request_, models_, {}); }
  void ExpectRefused(const std::string& message,
                     absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
    EXPECT_THAT(Parse(), StatusIs(code, HasSubstr(message)));
  }
  static void Set(v1::ByteSpan& span, int32_t begin, int32_t end) {
    span.set_begin(begin);
    span.set_end(end);
  }

  ByteTokenizer tokenizer_;
  std::vector<ServedModel> served_ =
      FakeModels(tokenizer_, {.vocab_size = kByteVocabulary, .context_length = 20}, nullptr);
  ModelRegistry models_{served_};
  v1::ScoreRequest request_;
  v1::ScoreItem* item_;
};

TEST_F(ParseWordsTest, WordsAndRegionsBecomeTokens) {
  request_.mutable_words();
  Set(*item_->add_regions(), 4, 8);
  const auto plan = Parse();
  ASSERT_OK(plan);
  const ScoreInput& input = plan->inputs[0];
  EXPECT_THAT(input.ids, ElementsAre(kEnd, kSpaceThe, ' ', 0xC3, 0xA9, kSpaceA));
  ASSERT_EQ(input.spans.words.size(), 3u);
  EXPECT_EQ(input.spans.words[1].first_token, 3);
  EXPECT_EQ(input.spans.words[1].tokens, 2);
  EXPECT_EQ(input.spans.regions.at(0).tokens, 3);
  EXPECT_TRUE(input.sets.empty());
}

TEST_F(ParseWordsTest, ACorrectionAsksForSetsAtEveryScoredPlaceAndBehindTheText) {
  request_.mutable_words()->set_correction(v1::WORD_CORRECTION_OH_SCHULER);
  const auto plan = Parse();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->inputs[0].sets, std::vector<uint8_t>(6, kBeginsWord));
}

TEST_F(ParseWordsTest, OnlyTokensOverTheScoredBytesAreScored) {
  Set(*item_->mutable_scored(), 5 - 1, 6);
  const auto plan = Parse();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->inputs[0].scored_from, 3);
  EXPECT_EQ(plan->inputs[0].scored_end(), 5);
  const auto request =
      ToEngineRequest(*plan->model, plan->inputs[0], FedWindows(plan->inputs[0]).front(), 0, {});
  EXPECT_EQ(request.ids.size(), 5u) << "what comes after is not fed";
  item_->set_context_text("the \u00E9 ");
  item_->set_text("a x");
  Set(*item_->mutable_scored(), 0, 1);
  EXPECT_EQ(Parse()->inputs[0].scored_tokens(), 1);
}

TEST_F(ParseWordsTest, SpansThatAreNoneOfTheTextAreRefused) {
  struct Case {
    int32_t begin, end;
    const char* message;
  };
  for (const Case& span :
       {Case{-1, 2, "is [-1, 2); must be bytes of the text, which has 8"}, Case{2, 2, "is [2, 2)"},
        Case{3, 2, "is [3, 2)"}, Case{7, 9, "is [7, 9)"},
        Case{5, 8, "must not cut the character around byte 5"},
        Case{0, 5, "must not cut the character around byte 5"}}) {
    item_->clear_scored();
    item_->clear_regions();
    Set(*item_->mutable_scored(), span.begin, span.end);
    ExpectRefused(absl::StrCat("items[0].scored"));
    ExpectRefused(span.message);
    item_->clear_scored();
    Set(*item_->add_regions(), 0, 3);
    Set(*item_->add_regions(), span.begin, span.end);
    ExpectRefused("items[0].regions[1]");
    ExpectRefused(span.message);
  }
}

TEST_F(ParseWordsTest, AScoredSpanMustHoldAScoredToken) {
  item_->set_context_text("the \u00E9");
  item_->set_text(" a x");
  ASSERT_OK(Parse());
  item_->set_context_text("x t");
  item_->set_text("he cat");
  Set(*item_->mutable_scored(), 0, 1);
  ExpectRefused("items[0].scored is left without a token to score");
}

TEST_F(ParseWordsTest, IdsHaveNoWords) {
  item_->mutable_ids()->add_ids(1);
  request_.mutable_words();
  ExpectRefused("words is set; needs text; items[0] has ids");
  request_.clear_words();
  Set(*item_->mutable_scored(), 0, 1);
  ExpectRefused("items[0].scored is set; needs text");
  item_->clear_scored();
  Set(*item_->add_regions(), 0, 1);
  ExpectRefused("items[0].regions is set; needs text");
}

TEST_F(ParseWordsTest, NamesThatAreNoneAreRefused) {
  request_.mutable_words()->set_split(static_cast<v1::WordSplit>(3));
  ExpectRefused("words.split is 3; must be in [0, 2]");
  request_.mutable_words()->set_split(v1::WORD_SPLIT_PUNCTUATION);
  request_.mutable_words()->set_correction(static_cast<v1::WordCorrection>(-1));
  ExpectRefused("words.correction is -1; must be in [0, 3]");
}

TEST_F(ParseWordsTest, RegionsAreBounded) {
  for (int i = 0; i < 1025; ++i) Set(*item_->add_regions(), 0, 3);
  ExpectRefused("items[0].regions is 1025 long; must have at most 1024 entries");
}

TEST_F(ParseWordsTest, AModelThatLacksWhatACorrectionNeedsSaysSo) {
  request_.mutable_words()->set_correction(v1::WORD_CORRECTION_PIMENTEL_MEISTER);
  served_[0].eos_ids.clear();
  const ModelRegistry endless(served_);
  EXPECT_THAT(ParseScore(request_, endless, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("names no EOS token")));
  served_[0].word_id_sets.clear();
  const ModelRegistry unmarked(served_);
  EXPECT_THAT(ParseScore(request_, unmarked, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("begins with \"Ġ\"")));
  request_.mutable_words()->set_correction(v1::WORD_CORRECTION_NONE);
  EXPECT_OK(ParseScore(request_, unmarked, {}));
}

// A tokenizer that says that it has normalised.
class Normalizer final : public ByteTokenizer {
 public:
  absl::StatusOr<Encoding> Encode(std::string_view text,
                                  const EncodeOptions& options) const override {
    absl::StatusOr<Encoding> encoding = ByteTokenizer::Encode(text, options);
    if (encoding.ok()) encoding->is_normalized = true;
    return encoding;
  }
};

TEST_F(ParseWordsTest, ATextThatIsNormalisedHasNoSpans) {
  const Normalizer normalizer;
  served_[0].tokenizer = &normalizer;
  const ModelRegistry models(served_);
  EXPECT_OK(ParseScore(request_, models, {}));
  request_.mutable_words();
  EXPECT_THAT(ParseScore(request_, models, {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("items[0].text is not in Unicode's form NFC")));
}

}  // namespace
}  // namespace dyad
