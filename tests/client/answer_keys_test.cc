// Names of an answer's keys, with a prefix and back.
#include "client/answer_keys.h"

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

TEST(AnswerKeysTest, APrefixIsPutInFrontAndTakenAway) {
  const Json answer = {{"row", "r"}, {"score", 1.0}, {"best", 0}};
  const Json renamed = WithPrefix("x_", answer);
  EXPECT_EQ(FormatLine(renamed), R"({"x_row":"r","x_score":1.0,"x_best":0})");
  Json line = {{"score", "my own"}, {"n", 1}};
  line.update(renamed);
  const Json back = WithoutPrefix("x_", line);
  EXPECT_EQ(back.size(), 4u);
  EXPECT_EQ(back["n"], 1);
  EXPECT_EQ(back["score"], 1.0);
  EXPECT_EQ(WithPrefix("", answer), answer);
  EXPECT_EQ(WithoutPrefix("", line), line);
}

TEST(AnswerKeysTest, PairsTooAndAnErrorStaysOne) {
  EXPECT_EQ(FormatLine(WithPrefix("x_", {{"margin", 1.5}, {"tie", false}})),
            R"({"x_margin":1.5,"x_tie":false})");
  EXPECT_EQ(FormatLine(WithPrefix("x_", {{"error", {{"code", "INTERNAL"}}}})),
            R"({"error":{"code":"INTERNAL"}})");
  // A line's own "correct" is not taken for the answer's.
  const Json back = WithoutPrefix("x_", {{"correct", "mine"}, {"x_margin", 1.5}});
  EXPECT_EQ(FormatLine(back), R"({"margin":1.5})");
}

TEST(AnswerKeysTest, AKeyThatBothHaveIsNamed) {
  const Json line = {{"margin", 1}, {"x_tie", 2}};
  EXPECT_THAT(CheckOwnKeys(line, kPairAnswerKeys, ""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("has the key margin, which")));
  EXPECT_THAT(CheckOwnKeys(line, kPairAnswerKeys, "x_"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("has the key x_tie, which")));
  EXPECT_OK(CheckOwnKeys(line, kTaskAnswerKeys, ""));
  EXPECT_OK(CheckOwnKeys(line, kPairAnswerKeys, "y_"));
}

}  // namespace
}  // namespace dyad::client
