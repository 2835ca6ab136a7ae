// Values of wrong types and ranges, and what the messages say.
#include "server/model/json_fields.h"

#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ParseJsonObjectTest, TakesObjectsOnly) {
  EXPECT_OK(ParseJsonObject("{\"a\": [1, {\"b\": null}]}", "f.json"));
  for (const char* text :
       {"", "[1]", "3", "{", "{\"a\": }", "{\"a\": 1} x", "\xff", "{\"a\": NaN}"}) {
    EXPECT_THAT(ParseJsonObject(text, "f.json"),
                testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                  AllOf(HasSubstr("f.json"), HasSubstr("expected a JSON object"))))
        << text;
  }
}

TEST(ParseJsonObjectTest, DeepNestingIsRefusedBeforeParsing) {
  const std::string deep = "{\"a\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  EXPECT_THAT(ParseJsonObject(deep, "f.json"),
              testing::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most 64")));
  EXPECT_OK(ParseJsonObject("{\"a\": " + std::string(60, '[') + std::string(60, ']') + "}", "f"));
  // Brackets within strings are text.
  EXPECT_OK(ParseJsonObject("{\"a\": \"\\\"" + std::string(1000, '[') + "\"}", "f.json"));
}

TEST(JsonFieldsTest, GoodValuesAndDefaults) {
  const nlohmann::json json = {
      {"n", 7},          {"x", 0.5},          {"i", 3}, {"yes", true}, {"s", "text"},
      {"o", {{"k", 1}}}, {"nothing", nullptr}};
  JsonFields fields(json, "c.json");
  EXPECT_EQ(fields.Integer("n", 1, {0, 7}), 7);
  EXPECT_EQ(fields.Integer("absent", 1, {5, 7}), 1);
  EXPECT_EQ(fields.Integer("nothing", 2, {5, 7}), 2);
  EXPECT_EQ(fields.Real("x", 1, {0, 1}), 0.5);
  EXPECT_EQ(fields.Real("i", 1, {0, 9}), 3.0);
  EXPECT_EQ(fields.Real("absent", 0.25, {0, 1}), 0.25);
  EXPECT_TRUE(fields.Switch("yes", false));
  EXPECT_TRUE(fields.Switch("absent", true));
  EXPECT_EQ(fields.String("s", ""), "text");
  EXPECT_EQ(fields.String("absent", "d"), "d");
  EXPECT_EQ(fields.Object("o").size(), 1u);
  EXPECT_TRUE(fields.Object("absent").is_null());
  EXPECT_TRUE(fields.Has("n"));
  EXPECT_FALSE(fields.Has("nothing"));
  EXPECT_FALSE(fields.Has("absent"));
  EXPECT_OK(fields.status());
}

TEST(JsonFieldsTest, AllFaultsAreReportedTogether) {
  const nlohmann::json json = {{"n", "7"}, {"big", 9}, {"x", true}, {"yes", 1}, {"s", 5}, {"o", 3}};
  JsonFields fields(json, "c.json");
  EXPECT_EQ(fields.Integer("n", 1, {0, 7}), 1);
  EXPECT_EQ(fields.Integer("big", 2, {0, 7}), 2);
  EXPECT_EQ(fields.Real("x", 0.5, {0, 1}), 0.5);
  EXPECT_FALSE(fields.Switch("yes", false));
  EXPECT_EQ(fields.String("s", "d"), "d");
  EXPECT_TRUE(fields.Object("o").is_null());
  EXPECT_THAT(
      fields.status(),
      testing::StatusIs(
          absl::StatusCode::kInvalidArgument,
          AllOf(HasSubstr("c.json: n is \"7\", expected an integer in [0, 7]"),
                HasSubstr("big is 9, expected an integer in [0, 7]"),
                HasSubstr("x is true, expected a number in [0, 1]"),
                HasSubstr("yes is 1, expected true or false"),
                HasSubstr("s is 5, expected a string"), HasSubstr("o is 3, expected an object"))));
}

TEST(JsonFieldsTest, IntegersKnowFractionsAndOverflow) {
  const nlohmann::json json = {{"half", 1.5},
                               {"whole", 2.0},
                               {"huge", 18446744073709551615u},
                               {"low", std::numeric_limits<int64_t>::min()}};
  constexpr Range<int64_t> kAll = {0, 1 << 20};
  for (const char* key : {"half", "whole", "huge", "low"}) {
    JsonFields fields(json, "c.json");
    EXPECT_EQ(fields.Integer(key, 4, kAll), 4) << key;
    EXPECT_THAT(fields.status(),
                testing::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(key)));
  }
}

TEST(JsonFieldsTest, NestedFaultsCarryTheirPath) {
  const nlohmann::json json = {{"rope", {{"theta", "x"}}}};
  JsonFields fields(json, "c.json");
  JsonFields nested(fields.Object("rope"), "rope");
  nested.Real("theta", 1, {0, 9});
  fields.Include(nested);
  EXPECT_THAT(fields.status(), testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                                 HasSubstr("c.json: rope.theta is \"x\"")));
}

TEST(JsonTextTest, IsShortAndPrintable) {
  EXPECT_EQ(JsonText(nlohmann::json("a\nb")), "\"a\\nb\"");
  EXPECT_LT(JsonText(nlohmann::json(std::string(1000, 'x'))).size(), 100u);
  EXPECT_EQ(JsonText(nlohmann::json::array({1, 2})), "a list");
  EXPECT_THAT(JsonText(nlohmann::json("\xff\x01")), Not(HasSubstr("\xff")));
}

}  // namespace
}  // namespace dyad
