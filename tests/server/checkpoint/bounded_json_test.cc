// JSON of unknown origin: bounds hold before the parser runs, and what is not expected is refused.
#include "server/checkpoint/bounded_json.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

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

absl::Status Read(std::string_view text, JsonBounds bounds = {}) {
  StringLists handler;
  return ReadJson(text, bounds, handler);
}

TEST(BoundedJsonTest, FeedsTheHandler) {
  StringLists handler;
  EXPECT_OK(ReadJson(R"( ["a", ["b\"]", ""]] )", JsonBounds{}, handler));
  EXPECT_THAT(handler.strings, ElementsAre("a", "b\"]", ""));
}

TEST(BoundedJsonTest, RefusesWhatTheHandlerDoesNotExpect) {
  EXPECT_THAT(Read("[1]"), StatusIs(kInvalid, HasSubstr("found a number")));
  EXPECT_THAT(Read("[-1]"), StatusIs(kInvalid, HasSubstr("found the number -1")));
  EXPECT_THAT(Read("[1.5]"), StatusIs(kInvalid, HasSubstr("no integer of 64 bits")));
  EXPECT_THAT(Read("[99999999999999999999]"), StatusIs(kInvalid, HasSubstr("no integer")));
  EXPECT_THAT(Read("[null]"), StatusIs(kInvalid, HasSubstr("found null")));
  EXPECT_THAT(Read("[true]"), StatusIs(kInvalid, HasSubstr("found a boolean")));
  EXPECT_THAT(Read("{}"), StatusIs(kInvalid, HasSubstr("found an object")));
}

TEST(BoundedJsonTest, RefusesWhatIsNotJson) {
  for (const std::string_view text : {"", " ", "[", "]", "[\"a\"", "[\"a]", "[\"a\"] x",
                                      "[\"\\q\"]", "[\"\xff\"]", "{{", "nul", "[\"a\",]"}) {
    EXPECT_THAT(Read(text), StatusIs(kInvalid, HasSubstr(""))) << text;
  }
}

TEST(BoundedJsonTest, DepthIsBoundedBeforeParsing) {
  EXPECT_OK(Read("[[[]]]", {.max_depth = 3}));
  EXPECT_THAT(Read("[[[[]]]]", {.max_depth = 3}),
              StatusIs(kInvalid, HasSubstr("nested deeper than 3 at byte 3")));
  EXPECT_THAT(Read(std::string(1'000'000, '[')), StatusIs(kInvalid, HasSubstr("nested deeper")));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_THAT(Read(objects), StatusIs(kInvalid, HasSubstr("nested deeper")));
}

TEST(BoundedJsonTest, BracketsInStringsAreNotDepth) {
  EXPECT_OK(Read(R"(["[[[[", "{{{\"{{"])", {.max_depth = 1}));
}

TEST(BoundedJsonTest, TokensAreBoundedBeforeParsing) {
  const std::string text = "[\"" + std::string(100, 'a') + "\"]";
  EXPECT_OK(Read(text, {.max_token = 102}));
  EXPECT_THAT(Read(text, {.max_token = 50}), StatusIs(kInvalid, HasSubstr("longer than 50 bytes")));
  EXPECT_THAT(Read("[" + std::string(100, '1') + "]", {.max_token = 50}),
              StatusIs(kInvalid, HasSubstr("longer than 50 bytes")));
  EXPECT_THAT(Read("[" + std::string(100, ' ') + "]", {.max_token = 50}),
              StatusIs(kInvalid, HasSubstr("longer than 50 bytes")));
}

}  // namespace
}  // namespace dyad
