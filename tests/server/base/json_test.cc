// JSON of unknown origin: bounds hold before a parser runs, and what is not expected is refused.
#include "server/base/json.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StrEq;

// Accepts arrays of strings, nested or not, and keeps the strings.
class StringLists : public JsonHandler {
 public:
  std::vector<std::string> strings;

  bool string(string_t& text) override {
    strings.push_back(text);
    return true;
  }
  bool start_array(size_t) override { return true; }

 private:
  bool Unexpected(std::string_view found) override {
    return Fail("found " + std::string(found) + ", expected strings");
  }
};

constexpr JsonBounds kBounds = {.max_bytes = 1 << 22, .max_depth = 8};

absl::Status ReadText(std::string_view text, const JsonBounds& bounds = kBounds) {
  StringLists handler;
  return ReadJson(text, "f.json", bounds, handler);
}

TEST(ReadJsonTest, FeedsTheHandler) {
  StringLists handler;
  EXPECT_OK(ReadJson(R"( ["a", ["b\"]", ""]] )", "f.json", kBounds, handler));
  EXPECT_THAT(handler.strings, ElementsAre("a", "b\"]", ""));
}

TEST(ReadJsonTest, RefusesWhatTheHandlerDoesNotExpect) {
  EXPECT_THAT(ReadText("[1]"),
              StatusIs(kInvalid, StrEq("f.json: found a number, expected strings")));
  EXPECT_THAT(ReadText("[-1]"), StatusIs(kInvalid, HasSubstr("found the number -1")));
  EXPECT_THAT(ReadText("[1.5]"), StatusIs(kInvalid, HasSubstr("no integer of 64 bits")));
  EXPECT_THAT(ReadText("[99999999999999999999]"), StatusIs(kInvalid, HasSubstr("no integer")));
  EXPECT_THAT(ReadText("[null]"), StatusIs(kInvalid, HasSubstr("found null")));
  EXPECT_THAT(ReadText("[true]"), StatusIs(kInvalid, HasSubstr("found a boolean")));
  EXPECT_THAT(ReadText("{}"), StatusIs(kInvalid, HasSubstr("found an object")));
}

TEST(ReadJsonTest, RefusesWhatIsNotJson) {
  for (const std::string_view text : {"", " ", "[", "]", "[\"a\"", "[\"a]", "[\"a\"] x",
                                      "[\"\\q\"]", "[\"\xff\"]", "{{", "nul", "[\"a\",]"}) {
    EXPECT_THAT(ReadText(text), StatusIs(kInvalid, HasSubstr(""))) << text;
  }
}

TEST(ReadJsonTest, DepthIsBoundedBeforeParsing) {
  constexpr JsonBounds kThree = {.max_bytes = 100, .max_depth = 3};
  EXPECT_OK(ReadText("[[[]]]", kThree));
  EXPECT_THAT(
      ReadText("[[[[]]]]", kThree),
      StatusIs(kInvalid, StrEq("f.json: JSON is nested 4 deep at byte 3, expected at most 3")));
  EXPECT_THAT(ReadText(std::string(1'000'000, '[')),
              StatusIs(kInvalid, HasSubstr("nested 9 deep")));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_THAT(ReadText(objects), StatusIs(kInvalid, HasSubstr("nested 9 deep")));
}

TEST(ReadJsonTest, BracketsInStringsAreNotDepth) {
  EXPECT_OK(ReadText(R"(["[[[[", "{{{\"{{"])", {.max_bytes = 100, .max_depth = 1}));
}

TEST(ReadJsonTest, TokensAreBoundedBeforeParsing) {
  constexpr JsonBounds kFifty = {.max_bytes = 200, .max_depth = 1, .max_token = 50};
  const std::string text = "[\"" + std::string(100, 'a') + "\"]";
  EXPECT_OK(ReadText(text, {.max_bytes = 200, .max_depth = 1, .max_token = 102}));
  EXPECT_THAT(ReadText(text, kFifty), StatusIs(kInvalid, HasSubstr("longer than 50 bytes")));
  EXPECT_THAT(ReadText("[" + std::string(100, '1') + "]", kFifty),
              StatusIs(kInvalid, HasSubstr("longer than 50 bytes")));
  EXPECT_THAT(ReadText("[" + std::string(100, ' ') + "]", kFifty),
              StatusIs(kInvalid, HasSubstr("longer than 50 bytes")));
}

TEST(ReadJsonTest, BytesAreBounded) {
  EXPECT_OK(ReadText("[\"a\"]", {.max_bytes = 5, .max_depth = 1}));
  EXPECT_THAT(ReadText("[\"a\"]", {.max_bytes = 4, .max_depth = 1}),
              StatusIs(kInvalid, StrEq("f.json: has 5 bytes, expected at most 4")));
}

absl::StatusOr<nlohmann::json> Parse(std::string_view text,
                                     const JsonBounds& bounds = {.max_bytes = 1 << 22,
                                                                 .max_depth = 64}) {
  return ParseJsonObject(text, "f.json", bounds);
}

TEST(ParseJsonObjectTest, TakesObjectsOnly) {
  EXPECT_OK(Parse("{\"a\": [1, {\"b\": null}]}"));
  for (const char* text :
       {"", "[1]", "3", "{", "{\"a\": }", "{\"a\": 1} x", "\xff", "{\"a\": NaN}"}) {
    EXPECT_THAT(Parse(text), StatusIs(kInvalid, AllOf(HasSubstr("f.json: "),
                                                      HasSubstr("expected a JSON object"))))
        << text;
  }
}

TEST(ParseJsonObjectTest, DeepNestingIsRefusedBeforeParsing) {
  const std::string deep = "{\"a\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  EXPECT_THAT(Parse(deep), StatusIs(kInvalid, HasSubstr("at most 64")));
  EXPECT_OK(Parse("{\"a\": " + std::string(60, '[') + std::string(60, ']') + "}"));
  // Brackets within strings are text.
  EXPECT_OK(Parse("{\"a\": \"\\\"" + std::string(1000, '[') + "\"}"));
}

TEST(ParseJsonObjectTest, BoundsAreThoseOfReadJson) {
  EXPECT_THAT(Parse("{\"a\": 1}", {.max_bytes = 7, .max_depth = 1}),
              StatusIs(kInvalid, StrEq("f.json: has 8 bytes, expected at most 7")));
  EXPECT_THAT(Parse("{\"abc\": 1}", {.max_bytes = 10, .max_depth = 1, .max_token = 4}),
              StatusIs(kInvalid, HasSubstr("longer than 4 bytes")));
}

TEST(ParseJsonObjectTest, TellsWhereTextStopsBeingJson) {
  EXPECT_THAT(Parse("{\"a\": [1, 2}"),
              StatusIs(kInvalid, HasSubstr("is not JSON at line 1, column 12")));
  EXPECT_THAT(Parse("{\n \"a\": 1,\n}"),
              StatusIs(kInvalid, HasSubstr("f.json: is not JSON at line 3, column 1; expected")));
  EXPECT_THAT(Parse("{\"a\":\n"),
              StatusIs(kInvalid, HasSubstr("at line 2, column 1: it ends too early")));
  for (const char* number : {"NaN", "Infinity", "-Infinity"}) {
    EXPECT_THAT(Parse(absl::StrCat("{\n\"a\": ", number, "}")),
                StatusIs(kInvalid, AllOf(HasSubstr("is not JSON at line 2, column "),
                                         HasSubstr(": NaN and Infinity, as Python writes them"))));
  }
  EXPECT_THAT(Parse("{\"a\": 1e999}"), StatusIs(kInvalid, HasSubstr("is not JSON at line 1")));
  EXPECT_THAT(Parse("{\"a\": \"\\ud800\"}"),
              StatusIs(kInvalid, HasSubstr("is not JSON at line 1")));
  EXPECT_THAT(Parse("[1, 2]"), StatusIs(kInvalid, HasSubstr("is a list of 2 elements")));
}

TEST(JsonTextTest, IsShortAndPrintable) {
  EXPECT_EQ(JsonText(nlohmann::json("a\nb")), "\"a\\nb\"");
  EXPECT_LT(JsonText(nlohmann::json(std::string(1000, 'x'))).size(), 100u);
  EXPECT_EQ(JsonText(nlohmann::json::array({1, 2})), "a list of 2 elements");
  EXPECT_THAT(JsonText(nlohmann::json("\xff\x01")), Not(HasSubstr("\xff")));
}

}  // namespace
}  // namespace dyad
