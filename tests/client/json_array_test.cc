// Arrays as programs write them, and what is refused where.
#include "client/json_array.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

TEST(JsonArrayTest, BeginsWithABracket) {
  for (const char* content : {"[", " \r\n\t[1", "\xef\xbb\xbf[]"}) {
    EXPECT_TRUE(BeginsJsonArray(content));
  }
  for (const char* content : {"", " ", "{\"a\": [1]}", "\xef\xbb\xbf", "a["}) {
    EXPECT_FALSE(BeginsJsonArray(content));
  }
}

TEST(JsonArrayTest, ItemsKeepTheirOrder) {
  const auto items = ReadJsonArray("in", "\xef\xbb\xbf [{\"b\": 1, \"a\": 0.1},\n {}]\n");
  ASSERT_OK(items);
  ASSERT_EQ(items->size(), 2u);
  EXPECT_EQ(FormatLine((*items)[0]), "{\"b\":1,\"a\":0.1}");
  EXPECT_TRUE(ReadJsonArray("in", "[]")->empty());
}

TEST(JsonArrayTest, FaultsNameThePlace) {
  const std::pair<std::string, const char*> rows[] = {
      {"[{\"a\": 1},\n {\"b\": nul}]", "in: not JSON at line 2, column 11"},
      {"[{\"a\": 1},\n", "in: not JSON at line 2, column 1, the end"},
      {"[{\"a\": 1}, 7]", "in: item 2: must be a JSON object, found: number"},
      {"[{\"a\": 1}]\n{}", "in: not JSON at line 2, column 1"},
      {"[\n{\"a\": \"\xff\"}]", "in: no UTF-8 at line 2, column 8"},
      {"[" + std::string(kMaxLineBytes, ' ') + "]",
       "in: a JSON array of more than 67108864 bytes"}};
  for (const auto& [content, message] : rows) {
    EXPECT_THAT(ReadJsonArray("in", content),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  }
}

}  // namespace
}  // namespace dyad::client
