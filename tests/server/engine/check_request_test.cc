// Each bound at its last good and its first bad value.
#include "server/engine/check_request.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::engine {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr ModelLimits kLimits = {
    .vocab_size = 10, .context_length = 64, .kv_pages = 3, .max_batch_tokens = 8, .max_draws = 4};

Request WithLength(size_t ids, int32_t max_new_tokens) {
  Request request;
  request.ids.assign(ids, 1);
  request.max_new_tokens = max_new_tokens;
  return request;
}

auto Invalid(const std::string& text) {
  return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text));
}

TEST(CheckRequestTest, RefusesEmptyIds) {
  EXPECT_THAT(CheckRequest(WithLength(0, 1), kLimits), Invalid("ids is empty"));
  EXPECT_OK(CheckRequest(WithLength(1, 0), kLimits));
}

TEST(CheckRequestTest, RefusesIdsOutsideTheVocabulary) {
  Request request = WithLength(3, 0);
  request.ids[2] = 9;
  EXPECT_OK(CheckRequest(request, kLimits));
  for (int32_t id : {10, -1}) {
    request.ids[2] = id;
    EXPECT_THAT(CheckRequest(request, kLimits), Invalid("ids[2] is " + std::to_string(id)));
  }
}

TEST(CheckRequestTest, RefusesMoreThanTheContextAndNamesBothLengths) {
  ModelLimits roomy = kLimits;
  roomy.kv_pages = 100;
  EXPECT_OK(CheckRequest(WithLength(60, 4), roomy));
  EXPECT_THAT(CheckRequest(WithLength(60, 5), roomy),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("60"), HasSubstr("is 5"), HasSubstr("64"))));
  EXPECT_THAT(CheckRequest(WithLength(1, std::numeric_limits<int32_t>::max()), roomy),
              Invalid("context"));
  EXPECT_THAT(CheckRequest(WithLength(1, -1), roomy), Invalid("max_new_tokens is -1"));
}

TEST(CheckRequestTest, OneMoreIdMayBeScoredThanFed) {
  ModelLimits roomy = kLimits;
  roomy.kv_pages = 100;
  Request request = WithLength(65, 0);
  request.score_from = 1;
  EXPECT_OK(CheckRequest(request, roomy));
  request.ids.push_back(1);
  EXPECT_THAT(CheckRequest(request, roomy), Invalid("ids has 66 tokens"));
  const std::vector<uint8_t> id_sets(10, 1);
  request.id_sets = id_sets;
  request.ids.resize(64);
  request.sets.assign(64, 1);
  EXPECT_OK(CheckRequest(request, roomy));
  request.ids.resize(65);
  request.sets.assign(65, 1);
  EXPECT_THAT(CheckRequest(request, roomy), Invalid("ids has 65 tokens"));
}

TEST(CheckRequestTest, RefusesSetsThatDoNotFit) {
  const std::vector<uint8_t> id_sets(10, 1);
  Request good = WithLength(5, 0);
  good.score_from = 2;
  good.id_sets = id_sets;
  good.sets = {1, 0, 1, 1};
  EXPECT_OK(CheckRequest(good, kLimits));
  Request request = good;
  request.sets.pop_back();
  EXPECT_THAT(CheckRequest(request, kLimits), Invalid("sets has 3 entries of 3 scored ids"));
  request = good;
  request.id_sets = std::span(id_sets).first(9);
  EXPECT_THAT(CheckRequest(request, kLimits), Invalid("id_sets has 9 of 10"));
  request = good;
  request.max_new_tokens = 1;
  EXPECT_THAT(CheckRequest(request, kLimits), Invalid("with sets nothing is generated"));
  request = good;
  request.score_from.reset();
  EXPECT_THAT(CheckRequest(request, kLimits), Invalid("sets has"));
}

TEST(CheckRequestTest, RefusesWhatCanNeverFitThePages) {
  // The last token generated is not stored: 48 slots take 40 + 9 tokens.
  EXPECT_OK(CheckRequest(WithLength(40, 9), kLimits));
  EXPECT_THAT(CheckRequest(WithLength(40, 10), kLimits), Invalid("needs 4 KV pages"));
  Request scored = WithLength(49, 0);
  scored.score_from = 0;
  EXPECT_OK(CheckRequest(scored, kLimits));
  scored.ids.push_back(1);
  EXPECT_THAT(CheckRequest(scored, kLimits), Invalid("KV pages"));
}

TEST(CheckRequestTest, RefusesTopNAndScoreFromOutOfRange) {
  Request request = WithLength(2, 1);
  request.top_n = kMaxTopN;
  request.score_from = 7;
  EXPECT_OK(CheckRequest(request, kLimits));
  request.top_n = kMaxTopN + 1;
  EXPECT_THAT(CheckRequest(request, kLimits), Invalid("top_n is 21"));
  request.top_n = -1;
  EXPECT_THAT(CheckRequest(request, kLimits), Invalid("top_n is -1"));
  request.top_n = 0;
  request.score_from = -1;
  EXPECT_THAT(CheckRequest(request, kLimits), Invalid("score_from is -1"));
}

TEST(CheckRequestTest, RefusesBiasOutsideTheVocabulary) {
  Request request = WithLength(2, 1);
  request.sampling.logit_bias = {{9, 1.0f}};
  EXPECT_OK(CheckRequest(request, kLimits));
  for (int32_t id : {10, -1}) {
    request.sampling.logit_bias[0].first = id;
    EXPECT_THAT(CheckRequest(request, kLimits), Invalid("logit_bias names id"));
  }
}

}  // namespace
}  // namespace dyad::engine
