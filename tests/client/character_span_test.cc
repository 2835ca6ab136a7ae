// Characters and bytes of texts with two- to four-byte characters.
#include "client/character_span.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;
using Ends = std::vector<std::pair<int, int>>;

constexpr char kText[] = "Ça, 中文 and 😀 and";  // 16 characters, 24 bytes

absl::StatusOr<Ends> Spans(const Json& cell) {
  const auto spans = SpansOf(cell, kText);
  if (!spans.ok()) return spans.status();
  Ends ends;
  for (const v1::ByteSpan& span : *spans) ends.emplace_back(span.begin(), span.end());
  return ends;
}

TEST(CharacterSpanTest, CountsCharacters) {
  const std::pair<int, int> counts[] = {{0, 0}, {1, 1},  {2, 1},   {3, 2},   {5, 4},
                                        {8, 5}, {11, 6}, {24, 16}, {99, 16}, {-1, 0}};
  for (const auto& [byte, characters] : counts) {
    EXPECT_EQ(CharactersBefore(kText, byte), characters) << byte;
  }
}

TEST(CharacterSpanTest, SpansAreReadInEveryForm) {
  EXPECT_EQ(*Spans("0:2"), (Ends{{0, 3}}));
  EXPECT_EQ(*Spans("4:6"), (Ends{{5, 11}}));
  EXPECT_EQ(*Spans("11:16"), (Ends{{16, 24}}));
  EXPECT_EQ(*Spans(Json{{"text", "and"}}), (Ends{{12, 15}}));
  EXPECT_EQ(*Spans(R"({"text": "and", "nth": 2})"), (Ends{{21, 24}}));
  EXPECT_EQ(*Spans(R"(["0:1", {"text": "😀"}])"), (Ends{{0, 2}, {16, 20}}));
  EXPECT_EQ(*Spans(Json::array()), Ends());
  EXPECT_EQ(SpansOf(Json{{"text", "aa"}, {"nth", 2}}, "aaa")->front().begin(), 1);
}

TEST(CharacterSpanTest, RefusesWhatIsNoSpanOfTheText) {
  for (const char* cell : {"",
                           "x",
                           "3",
                           "2:2",
                           "3:2",
                           "-1:2",
                           "0:17",
                           "1:2:3",
                           "1:",
                           "99:100",
                           "{}",
                           "[[1]]",
                           "null",
                           R"({"text": ""})",
                           R"({"text": "dog"})",
                           R"({"text": "and", "nth": 3})",
                           R"({"text": "and", "nth": 0})",
                           R"({"text": "and", "nth": "1"})",
                           R"({"text": "and", "ntb": 2})",
                           R"({"text": 7})"}) {
    EXPECT_THAT(Spans(cell), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("the region")))
        << cell;
  }
  EXPECT_THAT(Spans("0:17"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("16 characters")));
}

}  // namespace
}  // namespace dyad::client
