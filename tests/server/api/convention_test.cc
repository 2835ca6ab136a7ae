// The table, row by row against what each convention is known to feed, and the layouts by hand.
#include "server/api/convention.h"

#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;  // ids of the byte tokenizer
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LayoutTest : public ::testing::Test {
 protected:
  LayoutTest() {
    model_ =
        FakeModels(tokenizer_, {.vocab_size = kByteVocabulary, .context_length = 10}, nullptr)[0];
  }
  Layout For(v1::Convention convention) {
    return {model_, limits_, **FindConvention(convention), SpecialTokens::kParse};
  }

  ByteTokenizer tokenizer_;
  RequestLimits limits_;
  ServedModel model_;
};

TEST(ConventionTest, UnspecifiedIsLmEval) {
  EXPECT_EQ((*FindConvention(v1::CONVENTION_UNSPECIFIED))->convention, v1::CONVENTION_LM_EVAL);
  EXPECT_THAT(FindConvention(static_cast<v1::Convention>(77)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("convention is 77")));
}

TEST(ConventionTest, EveryNameHasOneRow) {
  for (int number = 1; number <= v1::Convention_MAX; ++number) {
    const auto row = FindConvention(static_cast<v1::Convention>(number));
    ASSERT_OK(row);
    EXPECT_EQ((*row)->convention, number);
  }
}

TEST_F(LayoutTest, LmEvalPutsPrefixAndSpaceInFront) {
  const auto input = LayOutText(For(v1::CONVENTION_LM_EVAL), {"text", "the x"});
  ASSERT_OK(input);
  EXPECT_THAT(input->ids, ElementsAre(kEnd, kSpaceThe, ' ', 'x'));
  EXPECT_THAT(input->offsets, ElementsAre(0, 0, 4, 5));
  EXPECT_EQ(input->scored_from, 1);
  EXPECT_EQ(input->scored_tokens(), 3);
}

TEST_F(LayoutTest, BabylmTakesTheTokenizersFrame) {
  const auto input = LayOutText(For(v1::CONVENTION_BABYLM), {"text", "the"});
  ASSERT_OK(input);
  EXPECT_THAT(input->ids, ElementsAre(kEnd, kThe));
  EXPECT_EQ(input->scored_from, 1);
}

TEST_F(LayoutTest, MiniconsTakesTheTokenizersFrame) {
  for (const v1::Convention convention :
       {v1::CONVENTION_MINICONS_MEAN, v1::CONVENTION_MINICONS_SUM}) {
    const auto input = LayOutText(For(convention), {"text", "thexy"});
    ASSERT_OK(input);
    EXPECT_THAT(input->ids, ElementsAre(kEnd, kThe, 'x', 'y'));
    EXPECT_EQ(input->scored_from, 1);
  }
  EXPECT_EQ((*FindConvention(v1::CONVENTION_MINICONS_MEAN))->reduction, Reduction::kMean);
  EXPECT_EQ((*FindConvention(v1::CONVENTION_MINICONS_SUM))->reduction, Reduction::kSum);
}

TEST_F(LayoutTest, ConditionalPutsThePrefixInFrontWithoutSpace) {
  const auto input = LayOutText(For(v1::CONVENTION_CONDITIONAL), {"text", "the"});
  ASSERT_OK(input);
  EXPECT_THAT(input->ids, ElementsAre(kEnd, kThe));
  EXPECT_THAT(input->offsets, ElementsAre(0, 0));
}

TEST_F(LayoutTest, AnEmptyTextMayLeaveThePrefixAlone) {
  const auto conditional = LayOutText(For(v1::CONVENTION_CONDITIONAL), {"text", ""});
  ASSERT_OK(conditional);
  EXPECT_THAT(conditional->ids, ElementsAre(kEnd));
  EXPECT_THAT(conditional->offsets, ElementsAre(0));
  EXPECT_EQ(conditional->scored_tokens(), 0);
  EXPECT_THAT(LayOutText(For(v1::CONVENTION_LM_EVAL), {"text", ""})->ids, ElementsAre(kEnd, ' '));
  EXPECT_THAT(LayOutText(For(v1::CONVENTION_MINICONS_SUM), {"text", ""})->ids, ElementsAre(kEnd));
}

// As GPT-NeoX's: it puts nothing around a text.
class PlainTokenizer final : public ByteTokenizer {
 public:
  absl::StatusOr<Encoding> Encode(std::string_view text,
                                  const EncodeOptions& options) const override {
    EncodeOptions plain = options;
    plain.frame = Frame::kNone;
    return ByteTokenizer::Encode(text, plain);
  }
};

TEST_F(LayoutTest, ATextOfWhichNothingIsScoredIsRefused) {
  const PlainTokenizer plain;
  model_.tokenizer = &plain;
  for (const v1::Convention convention :
       {v1::CONVENTION_BABYLM, v1::CONVENTION_MINICONS_MEAN, v1::CONVENTION_MINICONS_SUM}) {
    EXPECT_THAT(LayOutText(For(convention), {"items[0].text", "the"}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("items[0].text is left without a token to score")));
    EXPECT_THAT(LayOutText(For(convention), {"items[0].text", ""}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("items[0].text is empty")));
    EXPECT_EQ(LayOutText(For(convention), {"t", "thex"})->scored_tokens(), 1);
  }
}

TEST_F(LayoutTest, TellsWhereTheOwnTextBegins) {
  const auto text = LayOutText(For(v1::CONVENTION_LM_EVAL), {"text", "the x"});
  EXPECT_EQ(text->fed, " the x");
  EXPECT_EQ(text->own_begin, 1);
  const auto after = LayOutAfterContext(For(v1::CONVENTION_LM_EVAL), {"c", "x "}, {"t", "the"});
  EXPECT_EQ(after->fed, "x the");
  EXPECT_EQ(after->own_begin, 2);
}

TEST_F(LayoutTest, ContextAndTextAreEncodedTogether) {
  const auto input = LayOutAfterContext(For(v1::CONVENTION_LM_EVAL), {"c", "x t"}, {"t", "he cat"});
  ASSERT_OK(input);
  // A token crosses the border, and "x t" alone has 3.
  EXPECT_THAT(input->ids, ElementsAre('x', kSpaceThe, ' ', 'c', 'a', 't'));
  EXPECT_EQ(input->scored_from, 3);
}

TEST_F(LayoutTest, TrailingBlanksOfTheContextMoveToTheText) {
  const auto input = LayOutAfterContext(For(v1::CONVENTION_LM_EVAL), {"c", "x "}, {"t", "the"});
  ASSERT_OK(input);
  EXPECT_THAT(input->ids, ElementsAre('x', kSpaceThe));
  EXPECT_THAT(input->offsets, ElementsAre(0, 1));
  EXPECT_EQ(input->scored_from, 1);
}

TEST_F(LayoutTest, AnEmptyContextIsThePrefix) {
  for (const std::string_view context : {"", "  "}) {
    const auto input =
        LayOutAfterContext(For(v1::CONVENTION_LM_EVAL), {"c", context}, {"t", "the"});
    ASSERT_OK(input);
    EXPECT_EQ(input->ids.front(), kEnd);
    EXPECT_EQ(input->scored_from, 1);
  }
  EXPECT_THAT(LayOutAfterContext(For(v1::CONVENTION_LM_EVAL), {"c", ""}, {"t", "the"})->ids,
              ElementsAre(kEnd, kThe));
}

TEST_F(LayoutTest, AContextMustLeaveSomethingToScore) {
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("items[3].text is left without a token to score"));
  for (const v1::Convention convention :
       {v1::CONVENTION_LM_EVAL, v1::CONVENTION_BABYLM, v1::CONVENTION_MINICONS_SUM}) {
    const Layout layout = For(convention);
    const auto after = [&](std::string_view context, std::string_view text) {
      return LayOutAfterContext(layout, {"c", context}, {"items[3].text", text});
    };
    EXPECT_THAT(after("xy", ""), refused);
    EXPECT_THAT(after("", ""), refused);
    EXPECT_THAT(after("x t", "he"), refused);  // 3 tokens become 2
    EXPECT_THAT(after("x th", "e"), refused);
  }
  v1::TokenIds context;
  const auto none = [&] {
    return LayOutIds(For(v1::CONVENTION_LM_EVAL), "items[3]", {}, &context);
  };
  EXPECT_THAT(none(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("items[3].ids is")));
  context.add_ids(7);
  EXPECT_THAT(none(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("items[3].ids is")));
}

TEST_F(LayoutTest, IdsAreFedAsTheyAre) {
  const std::vector<int32_t> ids = {7, 8, 9};
  const auto alone = LayOutIds(For(v1::CONVENTION_LM_EVAL), "items[0]", ids, nullptr);
  ASSERT_OK(alone);
  EXPECT_EQ(alone->ids, ids);
  EXPECT_EQ(alone->scored_from, 1);
  EXPECT_THAT(alone->offsets, IsEmpty());

  v1::TokenIds context;
  EXPECT_THAT(LayOutIds(For(v1::CONVENTION_LM_EVAL), "items[0]", ids, &context)->ids,
              ElementsAre(kEnd, 7, 8, 9));
  context.add_ids(5);
  context.add_ids(6);
  const auto after = LayOutIds(For(v1::CONVENTION_LM_EVAL), "items[0]", ids, &context);
  EXPECT_THAT(after->ids, ElementsAre(5, 6, 7, 8, 9));
  EXPECT_EQ(after->scored_from, 2);
}

TEST_F(LayoutTest, OneIdScoresNothingAndNoneIsAnError) {
  const std::vector<int32_t> one = {7};
  EXPECT_EQ(LayOutIds(For(v1::CONVENTION_LM_EVAL), "items[0]", one, nullptr)->scored_tokens(), 0);
  EXPECT_THAT(LayOutIds(For(v1::CONVENTION_LM_EVAL), "items[0]", {}, nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("items[0].ids is empty")));
}

TEST_F(LayoutTest, IdsOutsideTheVocabularyAreNamed) {
  const std::vector<int32_t> ids = {7, kByteVocabulary};
  EXPECT_THAT(LayOutIds(For(v1::CONVENTION_LM_EVAL), "items[2]", ids, nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("items[2].ids[1] is 261; must be an id in [0, 261)")));
  const std::vector<int32_t> good = {7};
  v1::TokenIds context;
  context.add_ids(-1);
  EXPECT_THAT(
      LayOutIds(For(v1::CONVENTION_LM_EVAL), "items[2]", good, &context),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("items[2].context_ids[0] is -1")));
}

TEST_F(LayoutTest, TooLongNamesBothLengths) {
  Layout layout = For(v1::CONVENTION_CONDITIONAL);
  EXPECT_OK(LayOutText(layout, {"text", "1234567890"}));
  EXPECT_THAT(LayOutText(layout, {"text", "12345678901"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("text is 12 tokens"),
                             HasSubstr("context of 10 tokens, and one that is only scored"))));
  layout.max_tokens = 10;
  EXPECT_THAT(LayOutText(layout, {"text", "1234567890"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("text is 11 tokens")));
}

TEST_F(LayoutTest, AModelWithoutPrefixSaysSo) {
  model_.prefix_id.reset();
  EXPECT_THAT(LayOutText(For(v1::CONVENTION_LM_EVAL), {"text", "x"}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("neither a BOS nor")));
  EXPECT_OK(LayOutText(For(v1::CONVENTION_MINICONS_SUM), {"text", "x"}));
}

TEST_F(LayoutTest, LiteralSpecialTokensArePlainText) {
  Layout layout = For(v1::CONVENTION_MINICONS_SUM);
  EXPECT_THAT(LayOutText(layout, {"text", "</s>"})->ids, ElementsAre(kEnd, kEnd));
  layout.special_tokens = SpecialTokens::kLiteral;
  EXPECT_THAT(LayOutText(layout, {"text", "</s>"})->ids, ElementsAre(kEnd, '<', '/', 's', '>'));
}

TEST(TrailingBlankBytesTest, CountsUnicodeWhiteSpace) {
  EXPECT_EQ(TrailingBlankBytes(""), 0u);
  EXPECT_EQ(TrailingBlankBytes("a"), 0u);
  EXPECT_EQ(TrailingBlankBytes("a \t\n"), 3u);
  EXPECT_EQ(TrailingBlankBytes("a\u3000\u00A0"), 5u);
  EXPECT_EQ(TrailingBlankBytes("a\u200B"), 0u);  // a zero width space is none
  EXPECT_EQ(TrailingBlankBytes(" a b"), 0u);
}

}  // namespace
}  // namespace dyad
