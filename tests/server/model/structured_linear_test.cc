// Globs, kinds and variants.
#include "server/model/structured_linear.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr std::string_view kVariants[] = {"it", "ot", "dt"};

absl::StatusOr<StructuredLinear> ParseKinds(const json& value) {
  return StructuredLinear::Parse(value, "model.");
}

TEST(StructuredLinearTest, AStarStandsForALayerIndexOnly) {
  const auto s = ParseKinds({{"model.layers.*.fc1", {{"kind", "monarch"}, {"variant", "ot"}}}});
  ASSERT_OK(s);
  for (const char* path : {"model.layers.0.fc1", "model.layers.17.fc1"}) {
    auto found = s->Find(path);
    ASSERT_OK(found);
    ASSERT_TRUE(found->has_value()) << path;
    EXPECT_EQ((*found)->structure->kind, "monarch");
    EXPECT_EQ((*found)->options.Word("variant", kVariants), "ot");
  }
  for (const char* path : {"model.layers.0.fc2", "model.layers.a.fc1", "model.layers.0.1.fc1",
                           "model.layers..fc1", "model.layers.0.fc1.x", "layers.0.fc1"}) {
    EXPECT_FALSE(s->Find(path)->has_value()) << path;
  }
}

TEST(StructuredLinearTest, TheRootMayBeLeftOut) {
  const auto s = ParseKinds({{"layers.3.fc1", {{"kind", "monarch"}}}});
  ASSERT_OK(s);
  EXPECT_EQ(s->Find("model.layers.3.fc1")->value().structure->kind, "monarch");
}

TEST(StructuredLinearTest, NothingNamesNothing) {
  EXPECT_FALSE(ParseKinds(nullptr)->Find("model.x")->has_value());
  EXPECT_OK(ParseKinds(json::object())->RefuseUnusedKeys({}));
}

TEST(StructuredLinearTest, TwoKeysForOneLayerAreRefused) {
  const auto s = ParseKinds(
      {{"model.layers.*.fc1", {{"kind", "monarch"}}}, {"model.layers.0.fc1", {{"kind", "dense"}}}});
  ASSERT_OK(s);
  EXPECT_OK(s->Find("model.layers.1.fc1"));
  EXPECT_THAT(s->Find("model.layers.0.fc1"),
              StatusIs(kInvalid, AllOf(HasSubstr("layers.*.fc1"), HasSubstr("two keys"))));
}

TEST(StructuredLinearTest, KeysThatNameNoLayerAreRefused) {
  const auto s = ParseKinds({{"model.layers.*.fc1", {{"kind", "dense"}}}});
  EXPECT_OK(s->RefuseUnusedKeys({"model.layers.0.fc2", "model.layers.0.fc1"}));
  EXPECT_THAT(s->RefuseUnusedKeys({"model.layers.0.fc2"}), StatusIs(kInvalid, HasSubstr("fc1")));
}

TEST(StructuredLinearTest, TruncationRanksNameLowRankLayers) {
  auto s = ParseKinds({{"model.layers.0.fc1", {{"kind", "monarch"}}}});
  ASSERT_OK(s);
  EXPECT_OK(s->AddRanks(nullptr, "model."));
  EXPECT_FALSE(s->has_ranks());
  EXPECT_OK(s->AddRanks({{"layers.0.fc2", 7}}, "model."));
  EXPECT_TRUE(s->has_ranks());
  auto found = s->Find("model.layers.0.fc2");
  ASSERT_OK(found);
  ASSERT_TRUE(found->has_value());
  EXPECT_EQ((*found)->structure->kind, "low_rank");
  const auto rank = (*found)->options.WholeNumber("rank");
  ASSERT_TRUE(rank.has_value());
  EXPECT_EQ(rank->value, 7);
  EXPECT_EQ(rank->name, "config.json: truncation_ranks['layers.0.fc2']");
  EXPECT_THAT(s->RefuseUnusedKeys({"model.layers.0.fc1"}),
              StatusIs(kInvalid, HasSubstr("truncation_ranks['layers.0.fc2'] names no linear")));
  EXPECT_OK(s->AddRanks({{"model.layers.0.fc1", 3}}, "model."));
  EXPECT_THAT(s->Find("model.layers.0.fc1"), StatusIs(kInvalid, HasSubstr("two keys")));
  EXPECT_THAT(s->AddRanks({1}, "model."), StatusIs(kInvalid, HasSubstr("truncation_ranks is")));
}

TEST(StructuredLinearTest, OddValuesAreRefused) {
  const auto refused = [](const json& value, const char* text) {
    EXPECT_THAT(ParseKinds({{"model.a", value}}),
                StatusIs(kInvalid, AllOf(HasSubstr("model.a"), HasSubstr(text))));
  };
  refused("monarch", "expected an object");
  refused({{"kind", "hadamard"}}, "'hadamard', which is unknown");
  refused({{"variant", "it"}}, "kind is missing");
  refused({{"kind", 3}}, "kind is 3");
  EXPECT_THAT(ParseKinds({{"model.fc*", {{"kind", "monarch"}}}}),
              StatusIs(kInvalid, HasSubstr("fc*")));
  EXPECT_THAT(ParseKinds(json::array()), StatusIs(kInvalid, HasSubstr("expected an object")));
}

}  // namespace
}  // namespace dyad
