// Sizes told in advance against those of the messages themselves.
#include "server/api/answer_size.h"

#include "server/api/score_result.h"
#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;

class AnswerSizeTest : public ::testing::Test {
 protected:
  ByteTokenizer tokenizer_;
  const std::vector<ServedModel> models_ =
      FakeModels(tokenizer_, {.vocab_size = kByteVocabulary, .context_length = 900}, nullptr);
};

TEST_F(AnswerSizeTest, ATextScoreHasAtLeastThat) {
  for (const ServedModel& model : models_) {
    for (const int32_t tokens : {1, 2, 17, 800}) {
      for (const int32_t top_n : {0, 1, 20}) {
        const ScoreInput input = {std::vector<int32_t>(tokens, 150), {}, 1};
        const engine::TokenScore score = {-1.5f, 9,
                                          std::vector<engine::TopToken>(top_n, {200, -0.5f})};
        const std::vector<engine::TokenScore> scores(input.scored_tokens(), score);
        const auto real = static_cast<int64_t>(ToTextScore(model, input, scores).ByteSizeLong());
        EXPECT_THAT(TextScoreBytes(model, input, top_n), AllOf(Le(real), Ge(real / 2)))
            << tokens << " tokens, top " << top_n;
      }
    }
  }
}

TEST_F(AnswerSizeTest, ChoicesCountPromptAndLogprobsIfAskedFor) {
  GenerationPlan plan;
  plan.model = &models_[0];
  plan.request.ids = {1, 2, 3};
  plan.prompt_text = "abc";
  plan.request.max_new_tokens = 10;
  plan.choices = 4;
  EXPECT_EQ(ChoicesBytes(plan), 4 * 10);
  plan.echo = Echo::kYes;
  EXPECT_EQ(ChoicesBytes(plan), 4 * (13 + 3));
  plan.logprobs = 0;
  const int64_t without_top = ChoicesBytes(plan);
  EXPECT_GE(without_top, 4 * 13 * 9);
  plan.logprobs = 5;
  EXPECT_GE(ChoicesBytes(plan), without_top + 4 * 13 * 5 * 9);
}

TEST_F(AnswerSizeTest, TheLimitItselfIsAllowed) {
  const RequestLimits limits = {.max_send_message_bytes = 100};
  EXPECT_OK(CheckAnswerBytes(100, limits));
  EXPECT_THAT(CheckAnswerBytes(101, limits),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("101 bytes; the server's limit is 100 (--max_send")));
}

}  // namespace
}  // namespace dyad
