// Pairs between being read and being submitted.
#include "server/api/comparison_queue.h"

#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Pairs first, first + 1 …
v1::ScoreMinimalPairsRequest Message(int64_t first, int count) {
  v1::ScoreMinimalPairsRequest message;
  message.set_model("bytes");
  for (int i = 0; i < count; ++i) {
    v1::MinimalPair& pair = *message.add_pairs();
    pair.set_index(first + i);
    pair.set_good("a");
    pair.set_bad("b");
  }
  return message;
}

std::vector<int64_t> Indices(const std::vector<ComparisonPlan>& plans) {
  std::vector<int64_t> indices;
  for (const ComparisonPlan& plan : plans) indices.push_back(plan.index);
  return indices;
}

class ComparisonQueueTest : public ::testing::Test {
 protected:
  ByteTokenizer tokenizer_;
  const ModelRegistry models_{
      FakeModels(tokenizer_, {.vocab_size = kByteVocabulary, .context_length = 20}, nullptr)};
  RequestLimits limits_{.max_stream_pairs = 16};  // groups of 4
};

TEST_F(ComparisonQueueTest, GroupsAreAQuarterOfTheStreamAndFitTheRoom) {
  const ServerState state{models_, limits_, nullptr};
  ComparisonQueue queue(state);
  EXPECT_TRUE(queue.empty());
  ASSERT_OK(queue.Add(Message(0, 7)));
  EXPECT_THAT(Indices(queue.Take(100)), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(Indices(queue.Take(2)), ElementsAre(4, 5));
  EXPECT_THAT(Indices(queue.Take(100)), ElementsAre(6));
  EXPECT_TRUE(queue.empty());
}

TEST_F(ComparisonQueueTest, AStreamOfOnePairHasGroupsOfOne) {
  limits_.max_stream_pairs = 1;
  const ServerState state{models_, limits_, nullptr};
  ComparisonQueue queue(state);
  ASSERT_OK(queue.Add(Message(0, 2)));
  EXPECT_THAT(queue.Take(100), SizeIs(1));
}

TEST_F(ComparisonQueueTest, ARefusedGroupIsHalvedAndGroupsGrowAgain) {
  const ServerState state{models_, limits_, nullptr};
  ComparisonQueue queue(state);
  ASSERT_OK(queue.Add(Message(0, 20)));
  queue.PutBack(queue.Take(100));
  queue.PutBack(queue.Take(100));
  std::vector<ComparisonPlan> one = queue.Take(100);
  EXPECT_THAT(Indices(one), ElementsAre(0));
  queue.PutBack(std::move(one));
  EXPECT_THAT(Indices(queue.Take(100)), ElementsAre(0));
  EXPECT_THAT(Indices(queue.Take(100)), ElementsAre(1, 2));
  EXPECT_THAT(Indices(queue.Take(100)), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(Indices(queue.Take(100)), ElementsAre(7, 8, 9, 10));
}

TEST_F(ComparisonQueueTest, PairsAtFaultAreAnsweredAtOnce) {
  const ServerState state{models_, limits_, nullptr};
  ComparisonQueue queue(state);
  v1::ScoreMinimalPairsRequest message = Message(5, 3);
  message.mutable_pairs(1)->set_bad(std::string(30, 'x'));
  const auto at_fault = queue.Add(message);
  ASSERT_OK(at_fault);
  ASSERT_THAT(*at_fault, SizeIs(1));
  const auto pair = std::get<v1::PairScore>(at_fault->at(0));
  EXPECT_EQ(pair.index(), 6);
  EXPECT_THAT(pair.error().message(), HasSubstr("bad is 32 tokens"));
  EXPECT_THAT(Indices(queue.Take(100)), ElementsAre(5, 7));
}

TEST_F(ComparisonQueueTest, ChoicesComeAfterPairs) {
  const ServerState state{models_, limits_, nullptr};
  ComparisonQueue queue(state);
  v1::ScoreMinimalPairsRequest message = Message(5, 2);
  for (const int64_t index : {8, 9}) {
    v1::ChoiceSet& choice = *message.add_choice_sets();
    choice.set_index(index);
    choice.add_options()->set_text("a");
    if (index == 9) choice.add_options()->set_text("b");
  }
  const auto at_fault = queue.Add(message);
  ASSERT_OK(at_fault);
  ASSERT_THAT(*at_fault, SizeIs(1));
  const auto choice = std::get<v1::ChoiceScore>(at_fault->at(0));
  EXPECT_EQ(choice.index(), 8);
  EXPECT_THAT(choice.error().message(), HasSubstr("options is 1 long; must have 2 to 64 entries"));
  EXPECT_THAT(Indices(queue.Take(100)), ElementsAre(5, 6, 9));
}

TEST_F(ComparisonQueueTest, TheFirstMessageSetsTheOptions) {
  const ServerState state{models_, limits_, nullptr};
  ComparisonQueue queue(state);
  v1::ScoreMinimalPairsRequest message = Message(0, 0);
  message.set_model("none");
  EXPECT_THAT(queue.Add(message), StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_FALSE(queue.has_options());
  message.set_model("bytes");
  message.set_convention(v1::CONVENTION_BABYLM);
  message.set_return_tokens(true);
  EXPECT_THAT(*queue.Add(message), IsEmpty());
  ASSERT_TRUE(queue.has_options());
  ASSERT_OK(queue.Add(Message(0, 1)));
  EXPECT_EQ(queue.options().row->convention, v1::CONVENTION_BABYLM);
  EXPECT_EQ(queue.options().return_tokens, ReturnTokens::kYes);
  message.set_model("ids");
  EXPECT_THAT(queue.Add(message),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("model is ids")));
}

TEST_F(ComparisonQueueTest, AMessageHasAtMost1024Pairs) {
  const ServerState state{models_, limits_, nullptr};
  ComparisonQueue queue(state);
  ASSERT_OK(queue.Add(Message(0, 1024)));
  EXPECT_THAT(queue.Add(Message(0, 1025)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("pairs is 1025 long")));
}

}  // namespace
}  // namespace dyad
