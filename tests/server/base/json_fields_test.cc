// Values of wrong types and ranges, and what the messages say.
#include "server/base/json_fields.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

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

}  // namespace
}  // namespace dyad
