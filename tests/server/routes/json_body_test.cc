// JSON that would be read in two ways, or not at all.
#include "server/routes/json_body.h"

#include "server/api/request_error.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::HasSubstr;

TEST(ReadJsonBodyTest, ReadsAnObject) {
  const auto json =
      ReadJsonBody(" {\"a\": [1, {\"a\": \"\\u00e9\\ud83d\\ude00\"}], \"b\": {\"a\": 1}}\n");
  ASSERT_OK(json);
  EXPECT_EQ((*json)["a"][1]["a"], "é😀");
}

TEST(ReadJsonBodyTest, RefusesWhatIsNoClearObject) {
  const std::string deep = "{\"a\":" + std::string(16, '[') + std::string(16, ']') + "}";
  for (const auto& [body, message] : std::vector<std::pair<std::string, std::string>>{
           {"", "must be a JSON object"},
           {"[1]", "must be a JSON object"},
           {"null", "must be a JSON object"},
           {"\xEF\xBB\xBF{}", "must be a JSON object"},
           {"x{}", "must be a JSON object"},
           {"model=m&prompt=x", "must be a JSON object"},
           {"{\"a\": 1,\n \"b\" 2}", "line 2, column"},
           {"{\"a\": 1", "it ends too early"},
           {"{} {}", "is not JSON"},
           {"{\"a\": 1, \"a\": 2}", "has a twice"},
           {"{\"o\": {\"b\": 1, \"c\": 2, \"b\": 3}}", "has b twice"},
           {"{\"a\": \"\\ud800\"}", "is not JSON"},
           {"{\"a\": \"\\ud800x\"}", "is not JSON"},
           {"{\"a\": \"\xff\"}", "is not JSON"},
           {"{\"a\": NaN}", "NaN and Infinity"},
           {"{\"a\": 1e999}", "is not JSON"},
           {"{\"a\": '1'}", "is not JSON"},
           {deep, "nested 17 deep"}}) {
    const auto json = ReadJsonBody(body);
    EXPECT_THAT(json, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message))) << body;
    EXPECT_EQ(ReasonOf(json.status()), "INVALID_JSON") << body;
  }
}

TEST(CheckNamesTest, NamesTheNearest) {
  const nlohmann::json body = {{"max_token", 1}};
  const absl::Status status = CheckNames(body, {"max_tokens", "prompt"});
  EXPECT_THAT(std::string(status.message()), HasSubstr("did you mean max_tokens?"));
  EXPECT_EQ(ReasonOf(status), "UNKNOWN_PARAMETER");
  EXPECT_EQ(FieldsOf(status).front(), "max_token");
  EXPECT_OK(CheckNames({{"prompt", 1}}, {"max_tokens", "prompt"}));
}

TEST(FieldsTest, NullIsAbsentAndOtherTypesAreWrong) {
  const nlohmann::json body = {{"s", "x"}, {"n", nullptr}, {"b", true}, {"i", 1}};
  EXPECT_EQ(*StringOr(body, "s", "y"), "x");
  EXPECT_EQ(*StringOr(body, "n", "y"), "y");
  EXPECT_EQ(*StringOr(body, "none", "y"), "y");
  EXPECT_EQ(*BoolOr(body, "b", false), true);
  EXPECT_EQ(*BoolOr(body, "n", true), true);
  EXPECT_THAT(StringOr(body, "i", ""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("i is 1; must be a string")));
  EXPECT_THAT(BoolOr(body, "i", false),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("must be true or false")));
}

TEST(JsonBytesTest, AreUtf8WhateverStandsInThem) {
  EXPECT_EQ(JsonBytes({{"a", "\xffé"}}), "{\"a\":\"\uFFFDé\"}");
}

}  // namespace
}  // namespace dyad
