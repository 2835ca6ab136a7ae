// Rows of `reading`; of the fake server log p of a byte is minus a tenth of it.
#include "client/reading.h"

#include "gtest/gtest.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

Json Row(const Json& item, const Json& word, const Json& prev_item, const Json& prev_word) {
  return {{"item", item}, {"word", word}, {"prev_item", prev_item}, {"prev_word", prev_word}};
}

TEST(ReadingTest, AWordAndTheOneBefore) {
  const auto words = ReadingWords({}, Row("The cat", " sat", "The", " cat"));
  ASSERT_OK(words);
  ASSERT_EQ(words->size(), 2u);
  EXPECT_EQ((*words)[0].item + "|" + (*words)[0].word, "The cat| sat");
  EXPECT_EQ((*words)[1].item + "|" + (*words)[1].word, "The| cat");
  EXPECT_EQ(ReadingWords({}, Row("None", " of", "", ""))->size(), 1u);
  EXPECT_EQ(ReadingWords({}, Row("None", " of", nullptr, nullptr))->size(), 1u);
  const auto fails = [](const Json& row, const char* message) {
    EXPECT_THAT(ReadingWords({}, row),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  fails(Row(1, " of", "", ""), "item must be a string, found: number");
  fails(Row("a", "", "", ""), "word is empty");
  fails(Row("a", "b", "c", nullptr), "prev_word must be a string, found: null");
  fails({{"item", "a"}}, "word must be a string, found: nothing");
  fails({{"item", "a"}, {"word", "b"}}, "prev_item must be a string, found: nothing");
}

TEST(ReadingTest, WordAndItemAreEncodedApart) {
  testing::FakeServer server;
  const Client client(*Connect({.server = server.address()}));
  const auto request = ReadingRequest(client, {}, {{"ab", "c"}, {"", "d"}});
  ASSERT_OK(request);
  ASSERT_EQ(request->items_size(), 2);
  EXPECT_EQ(request->items(0).context_ids().ShortDebugString(), "ids: 2 ids: 97 ids: 98");
  EXPECT_EQ(request->items(0).ids().ShortDebugString(), "ids: 99");
  EXPECT_EQ(request->items(1).context_ids().ShortDebugString(), "ids: 2");
}

TEST(ReadingTest, ValuesAreSurprisalsInNats) {
  v1::ScoreResponse response;
  response.add_scores()->set_sum(-2.5);
  EXPECT_EQ(ReadingAnswer(response).dump(), R"({"pred":2.5,"prev_pred":null})");
  response.add_scores()->set_sum(-1.25);
  EXPECT_EQ(ReadingAnswer(response).dump(), R"({"pred":2.5,"prev_pred":1.25})");
}

}  // namespace
}  // namespace dyad::client
