// Checks that several requests share.
#include "server/api/parse_request.h"

#include <cmath>
#include <limits>

#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;

class ParseRequestTest : public ::testing::Test {
 protected:
  ByteTokenizer tokenizer_;
  RequestLimits limits_{.max_prompt_bytes = 8};
  std::vector<ServedModel> models_ =
      FakeModels(tokenizer_, {.vocab_size = 257, .context_length = 4}, nullptr);
};

TEST_F(ParseRequestTest, TextsAreBounded) {
  EXPECT_OK(CheckBytes(limits_, {"text", "12345678"}));
  EXPECT_THAT(CheckBytes(limits_, {"stop[1]", "123456789"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("stop[1] is 9 bytes; must have at most 8 bytes")));
}

TEST_F(ParseRequestTest, WhatTheTokenizerRefusesNamesTheField) {
  EXPECT_THAT(EncodeField(models_[0], {"text", "a\xFF"}, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("byte 1 is not UTF-8")));
}

TEST_F(ParseRequestTest, TokensThatTheModelDoesNotHaveAreRefused) {
  EXPECT_THAT(EncodeField(models_[0], {"text", "the"}, {}),  // token 257
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("text[0] is 257")));
}

TEST_F(ParseRequestTest, WithoutTokenizerTextIsAFailedPrecondition) {
  EXPECT_OK(NeedsTokenizer(models_[0]));
  EXPECT_THAT(EncodeField(models_[1], {"text", "a"}, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("model ids has no tokenizer files")));
}

TEST_F(ParseRequestTest, IdsAreChecked) {
  const std::vector<int32_t> good = {0, 256};
  const std::vector<int32_t> bad = {0, 257};
  EXPECT_OK(CheckIds(models_[0], "ids", good));
  EXPECT_THAT(CheckIds(models_[0], "ids", bad),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("ids[1] is 257; must be an id in [0, 257)")));
  EXPECT_EQ(MostScoredTokens(models_[0]), 5);
}

TEST(ParseSpecialTokensTest, ParseIsTheDefault) {
  EXPECT_EQ(*ParseSpecialTokens(v1::SPECIAL_TOKENS_UNSPECIFIED), SpecialTokens::kParse);
  EXPECT_EQ(*ParseSpecialTokens(v1::SPECIAL_TOKENS_PARSE), SpecialTokens::kParse);
  EXPECT_EQ(*ParseSpecialTokens(v1::SPECIAL_TOKENS_LITERAL), SpecialTokens::kLiteral);
  EXPECT_THAT(ParseSpecialTokens(static_cast<v1::SpecialTokens>(9)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("special_tokens is 9")));
}

TEST(CheckRangeTest, EndsAreAsSaidAndNanIsNowhere) {
  EXPECT_OK(CheckRange<float>({"x", 0, 0, 1}));
  EXPECT_OK(CheckRange<float>({"x", 1, 0, 1}));
  EXPECT_FALSE(CheckRange<float>({"x", 0, 0, 1}, Bounds::kOpenLow).ok());
  EXPECT_OK(CheckRange<float>({"x", 1, 0, 1}, Bounds::kOpenLow));
  EXPECT_OK(CheckRange<float>({"x", 0, 0, 1}, Bounds::kOpenHigh));
  EXPECT_FALSE(CheckRange<float>({"x", 1, 0, 1}, Bounds::kOpenHigh).ok());
  EXPECT_THAT(CheckRange<float>({"x", 2, 0, 1}, Bounds::kOpenLow),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("x is 2; must be in (0, 1]")));
  for (const Bounds bounds : {Bounds::kClosed, Bounds::kOpenLow, Bounds::kOpenHigh}) {
    for (const float value : {std::nanf(""), -std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::infinity()}) {
      EXPECT_FALSE(CheckRange<float>({"x", value, 0, 1}, bounds).ok());
    }
  }
}

}  // namespace
}  // namespace dyad
