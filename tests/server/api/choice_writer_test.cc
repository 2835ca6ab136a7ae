// One sequence's results into choices, handed over in between.
#include "server/api/choice_writer.h"

#include "tests/server/api/api_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using engine::FinishReason;
using engine::Verdict;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ChoiceWriterTest : public ::testing::Test {
 protected:
  ChoiceWriterTest() {
    plan_.model = &models_[0];
    plan_.request.ids = {kEnd, 'p'};
  }

  ByteTokenizer tokenizer_;
  std::vector<ServedModel> models_ = FakeModels(tokenizer_, {}, nullptr);
  GenerationPlan plan_;
};

TEST_F(ChoiceWriterTest, HalfACharacterWaitsForTheRest) {
  ChoiceWriter writer(plan_, 3);
  v1::Choice first = writer.New();
  EXPECT_EQ(first.index(), 3);
  writer.AddToken({0xC3, -1, {}}, first);
  EXPECT_EQ(first.text(), "");
  v1::Choice second = writer.New();
  writer.AddToken({0xA9, -1, {}}, second);
  writer.AddEnd(FinishReason::kLength, second);
  EXPECT_EQ(second.text(), "é");
  EXPECT_THAT(second.ids(), ElementsAre(0xA9));
  EXPECT_EQ(second.finish_reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_THAT(second.logprobs(), IsEmpty());
}

TEST_F(ChoiceWriterTest, AStopStringStopsAndCuts) {
  plan_.stop = {"bc"};
  ChoiceWriter writer(plan_, 0);
  v1::Choice choice = writer.New();
  EXPECT_EQ(writer.AddToken({'a', 0, {}}, choice), Verdict::kContinue);
  EXPECT_EQ(writer.AddToken({'b', 0, {}}, choice), Verdict::kContinue);
  EXPECT_EQ(choice.text(), "a");
  EXPECT_EQ(writer.AddToken({'c', 0, {}}, choice), Verdict::kStop);
  writer.AddEnd(FinishReason::kStop, choice);
  EXPECT_EQ(choice.text(), "a");
  EXPECT_THAT(choice.ids(), ElementsAre('a', 'b', 'c'));
  EXPECT_EQ(choice.stop_string(), "bc");
  EXPECT_FALSE(choice.has_stop_id());
}

TEST_F(ChoiceWriterTest, AStopIdIsNamed) {
  plan_.stop = {"bc"};
  for (const ServedModel& model : models_) {
    plan_.model = &model;
    ChoiceWriter writer(plan_, 0);
    v1::Choice choice = writer.New();
    writer.AddToken({'a', 0, {}}, choice);
    writer.AddToken({'b', 0, {}}, choice);
    writer.AddEnd(FinishReason::kStop, choice);
    EXPECT_EQ(choice.stop_id(), 'b');
    EXPECT_FALSE(choice.has_stop_string());
  }
}

TEST_F(ChoiceWriterTest, SpecialTokensHaveIdsButNoText) {
  ChoiceWriter writer(plan_, 0);
  v1::Choice choice = writer.New();
  writer.AddToken({'a', 0, {}}, choice);
  writer.AddToken({kEnd, 0, {}}, choice);
  writer.AddEnd(FinishReason::kEos, choice);
  EXPECT_EQ(choice.text(), "a");
  EXPECT_EQ(choice.ids_size(), 2);
  EXPECT_EQ(choice.finish_reason(), v1::FINISH_REASON_EOS);
  EXPECT_EQ(choice.stop_reason_case(), v1::Choice::STOP_REASON_NOT_SET);
}

TEST_F(ChoiceWriterTest, EchoGivesEveryIdOneLogprob) {
  plan_.echo = Echo::kYes;
  plan_.prompt_text = "p";
  plan_.logprobs = 1;
  ChoiceWriter writer(plan_, 0);
  v1::Choice choice = writer.New();
  writer.AddPrompt(choice);
  const std::vector<engine::TokenScore> scores = {{-2, 2, {{'q', -1}}}};
  writer.AddPromptScores(scores, choice);
  writer.AddToken({'a', -0.5, {{'a', -0.5}}}, choice);
  EXPECT_EQ(choice.text(), "pa");
  EXPECT_THAT(choice.ids(), ElementsAre(kEnd, 'p', 'a'));
  ASSERT_EQ(choice.logprobs_size(), 3);
  EXPECT_EQ(choice.logprobs(1).logprob(), -2);
  EXPECT_EQ(choice.logprobs(1).top(0).text(), "q");
  EXPECT_EQ(choice.logprobs(2).id(), 'a');
}

TEST_F(ChoiceWriterTest, WithoutTokenizerThereAreIdsOnly) {
  plan_.model = &models_[1];
  ChoiceWriter writer(plan_, 0);
  v1::Choice choice = writer.New();
  EXPECT_EQ(writer.AddToken({'a', 0, {}}, choice), Verdict::kContinue);
  writer.AddEnd(FinishReason::kLength, choice);
  EXPECT_EQ(choice.text(), "");
  EXPECT_THAT(choice.ids(), ElementsAre('a'));
}

TEST(FinishReasonNameTest, NamesEach) {
  EXPECT_EQ(FinishReasonName(FinishReason::kLength), "length");
  EXPECT_EQ(FinishReasonName(FinishReason::kEos), "eos");
  EXPECT_EQ(FinishReasonName(FinishReason::kStop), "stop");
  EXPECT_EQ(FinishReasonName(FinishReason::kNone), "");
}

}  // namespace
}  // namespace dyad
