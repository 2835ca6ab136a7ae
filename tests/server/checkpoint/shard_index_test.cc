// Indices of sharded checkpoints.
#include "server/checkpoint/shard_index.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

absl::StatusOr<ShardIndex> ReadIndex(std::string_view json) {
  return ReadShardIndex(json, "i.json");
}

TEST(ShardIndexTest, ReadsTheWeightMap) {
  const auto index =
      ReadIndex(R"({"metadata": {"total_size": 12, "more": [1.5, -1, null, true, {"x": "y"}]},
                             "weight_map": {"b": "2.bin", "a": "1.bin"}, "other": "text"})");
  ASSERT_OK(index);
  EXPECT_THAT(*index, ElementsAre(Pair("a", "1.bin"), Pair("b", "2.bin")));
}

TEST(ShardIndexTest, RefusesShardsOutsideTheFolder) {
  for (const char* shard : {"../x.bin", "/x.bin", "a/x.bin", "..", ""}) {
    EXPECT_THAT(ReadIndex(absl::StrCat(R"({"weight_map": {"a": ")", shard, R"("}})")),
                StatusIs(kInvalid, HasSubstr("'i.json': tensor 'a': file name '")))
        << shard;
  }
}

TEST(ShardIndexTest, RefusesOtherForms) {
  EXPECT_THAT(ReadIndex("[]"), StatusIs(kInvalid, HasSubstr("holds an array, expected an object")));
  EXPECT_THAT(ReadIndex("7"), StatusIs(kInvalid, HasSubstr("expected an object")));
  EXPECT_THAT(ReadIndex("\"x\""), StatusIs(kInvalid, HasSubstr("expected an object")));
  EXPECT_THAT(ReadIndex("{}"), StatusIs(kInvalid, HasSubstr("no key 'weight_map'")));
  EXPECT_THAT(ReadIndex(R"({"weight_map": {}})"), StatusIs(kInvalid, HasSubstr("is empty")));
  EXPECT_THAT(ReadIndex(R"({"weight_map": []})"),
              StatusIs(kInvalid, HasSubstr("'weight_map' is an array")));
  EXPECT_THAT(ReadIndex(R"({"weight_map": "x"})"),
              StatusIs(kInvalid, HasSubstr("'weight_map' is a string")));
  EXPECT_THAT(ReadIndex(R"({"weight_map": null})"),
              StatusIs(kInvalid, HasSubstr("'weight_map' is null")));
  EXPECT_THAT(
      ReadIndex(R"({"weight_map": {"a": 7}})"),
      StatusIs(kInvalid, HasSubstr("tensor 'a': its shard is a number, expected a file name")));
  EXPECT_THAT(ReadIndex(R"({"weight_map": {"a": {"b": "c"}}})"),
              StatusIs(kInvalid, HasSubstr("an object")));
  EXPECT_THAT(ReadIndex(R"({"weight_map": {"a": ["b"]}})"),
              StatusIs(kInvalid, HasSubstr("an array")));
  EXPECT_THAT(ReadIndex(""), StatusIs(kInvalid, HasSubstr("is not JSON")));
}

TEST(ShardIndexTest, RefusesRepetition) {
  EXPECT_THAT(ReadIndex(R"({"weight_map": {"a": "1", "a": "2"}})"),
              StatusIs(kInvalid, HasSubstr("tensor 'a' is listed twice")));
  EXPECT_THAT(ReadIndex(R"({"weight_map": {"a": "1"}, "weight_map": {"b": "2"}})"),
              StatusIs(kInvalid, HasSubstr("'weight_map' is there twice")));
}

TEST(ShardIndexTest, IsBounded) {
  EXPECT_THAT(ReadIndex(std::string(kMaxIndexBytes + 1, ' ')),
              StatusIs(kInvalid, HasSubstr("expected at most")));
  EXPECT_THAT(ReadIndex(std::string(100'000, '[')), StatusIs(kInvalid, HasSubstr("nested 9 deep")));
  std::string many = R"({"weight_map": {)";
  for (size_t i = 0; i <= kMaxShards; ++i)
    many += absl::StrCat(i == 0 ? "" : ",", "\"", i, "\":\"", i, "\"");
  EXPECT_THAT(ReadIndex(many + "}}"), StatusIs(kInvalid, HasSubstr("4096 shards, expected less")));
}

TEST(ShardIndexTest, ANestedWeightMapIsAnotherKey) {
  EXPECT_THAT(ReadIndex(R"({"metadata": {"weight_map": {"a": "/x"}}})"),
              StatusIs(kInvalid, HasSubstr("no key 'weight_map'")));
}

}  // namespace
}  // namespace dyad
