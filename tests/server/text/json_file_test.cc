// Files with bounds and JSON with checks: every refusal says where, what and what instead.
#include "server/text/json_file.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/text/tiny_tokenizer.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;
using ::testing::StrEq;
using testing::TemporaryFolder;

TEST(JsonFileTest, ReadsAnObjectAndNamesPlacesInIt) {
  const TemporaryFolder folder;
  const auto path =
      folder.Write("a.json", std::string(R"({"m": {"k": [1, "two", true]}, "n": null})"));
  const absl::StatusOr<JsonFile> file = JsonFile::Read(path);
  ASSERT_OK(file);
  const JsonValue list = file->root()["m"]["k"];
  EXPECT_EQ(list.where(), "a.json: m.k");
  const absl::StatusOr<std::vector<JsonValue>> elements = list.Elements();
  ASSERT_OK(elements);
  ASSERT_EQ(elements->size(), 3u);
  EXPECT_EQ((*elements)[1].where(), "a.json: m.k[1]");
  EXPECT_EQ(*(*elements)[0].TokenId(), 1);
  EXPECT_EQ(*(*elements)[1].String(), "two");
  EXPECT_EQ(*(*elements)[2].Bool(), true);
  EXPECT_TRUE(file->root()["n"].is_null());
  EXPECT_TRUE(file->root()["absent"]["below"].is_null());
  EXPECT_EQ(*file->root()["absent"].BoolOr(true), true);
}

TEST(JsonFileTest, WrongTypesAreToldWithPlaceFoundAndExpected) {
  const TemporaryFolder folder;
  const auto path = folder.Write(
      "a.json", std::string(R"({"i": -1, "f": 1.5, "s": "x", "o": {"a": 1}, "l": [1, 2]})"));
  const absl::StatusOr<JsonFile> file = JsonFile::Read(path);
  ASSERT_OK(file);
  const JsonValue root = file->root();
  EXPECT_THAT(root["s"].Bool(),
              StatusIs(kInvalid, StrEq("a.json: s is \"x\"; expected true or false")));
  EXPECT_THAT(root["i"].String(), StatusIs(kInvalid, StrEq("a.json: i is -1; expected a string")));
  EXPECT_THAT(root["none"].String(), StatusIs(kInvalid, HasSubstr("none is absent or null")));
  EXPECT_THAT(root["o"].Elements(), StatusIs(kInvalid, HasSubstr("an object of 1 keys")));
  EXPECT_THAT(root["l"].IsObject(), StatusIs(kInvalid, HasSubstr("a list of 2 elements")));
  for (const char* key : {"i", "f", "s", "o", "none"}) {
    EXPECT_THAT(root[key].TokenId(), StatusIs(kInvalid, HasSubstr("0 to 1048575"))) << key;
  }
  EXPECT_THAT(root["i"].BoolOr(true), StatusIs(kInvalid, HasSubstr("true or false")));
}

TEST(JsonFileTest, TokenIdsAreBoundedAtTheirLimit) {
  const TemporaryFolder folder;
  const auto path = folder.Write(
      "a.json", std::string(R"({"a": 1048575, "b": 1048576, "c": 18446744073709551615})"));
  const absl::StatusOr<JsonFile> file = JsonFile::Read(path);
  ASSERT_OK(file);
  EXPECT_EQ(*file->root()["a"].TokenId(), 1048575);
  EXPECT_FALSE(file->root()["b"].TokenId().ok());
  EXPECT_FALSE(file->root()["c"].TokenId().ok());
}

TEST(JsonFileTest, LongValuesAreCutInMessages) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 100; ++i) text += "\u00e9";
  const auto path = folder.Write("a.json", nlohmann::json{{"k", text}});
  const absl::StatusOr<JsonFile> file = JsonFile::Read(path);
  ASSERT_OK(file);
  const absl::Status status = file->root()["k"].Mismatch("less");
  EXPECT_LT(status.message().size(), 110u);
  EXPECT_THAT(status, StatusIs(kInvalid, HasSubstr("...; expected less")));
}

TEST(JsonFileTest, WhatIsNotAnObjectIsRefused) {
  const TemporaryFolder folder;
  for (const char* content : {"", "{", "[]", "3", "nul", "{\"a\": 1e999}", "{\"a\": 1}}",
                              "{\"\xFF\": 1}", "{\"a\": \"\\ud800\"}", "{a: 1}"}) {
    const auto path = folder.Write("bad.json", std::string(content));
    EXPECT_THAT(JsonFile::Read(path), StatusIs(kInvalid, HasSubstr("bad.json"))) << content;
  }
}

TEST(JsonFileTest, NestingIsBounded) {
  const TemporaryFolder folder;
  const auto nested = [&](int depth) {
    const std::string lists(depth - 1, '[');
    return folder.Write("deep.json", "{\"[[[[\\\"\": " + lists + std::string(depth - 1, ']') + "}");
  };
  EXPECT_OK(JsonFile::Read(nested(32)));
  EXPECT_THAT(JsonFile::Read(nested(33)), StatusIs(kInvalid, HasSubstr("nested 33 deep")));
  EXPECT_THAT(JsonFile::Read(nested(1000000)), StatusIs(kInvalid, HasSubstr("at most 32")));
}

TEST(JsonFileTest, ListsAreBounded) {
  const nlohmann::json long_list = std::vector<int>(kMaxListElements + 1, 0);
  EXPECT_THAT(JsonValue(long_list, "here").Elements(),
              StatusIs(kInvalid, HasSubstr("1048577 elements; expected at most 1048576")));
}

}  // namespace
}  // namespace dyad
