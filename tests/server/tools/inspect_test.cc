// Tables and JSON of one fixture with every form.
#include "server/tools/inspect.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/devices.h"
#include "nlohmann/json.hpp"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

ModelInfo InfoOf(const std::string& fixture) {
  const auto device = kernels::MakeCpuDevice({});
  auto info = InspectModel((testing::FixturesDir() / fixture).string(), {}, *device);
  EXPECT_OK(info);
  return *std::move(info);
}

TEST(InspectTest, TheTableHasLayersStepsAndSums) {
  EXPECT_THAT(
      InspectionTable(InfoOf("opt-mixed")),
      AllOf(HasSubstr("opt, weights of float32"),
            ContainsRegex("layers.0.fc2 +216 -> 72 +6312 +40.4 % +25248 +40.4 % +6240 +40.1 %  "
                          "blast 4x6 rank 20\n    plan: fewer parameters\n      contract x -> h2"),
            HasSubstr("      mix h2 -> h3: 6 -> 4, width 20\n"),
            ContainsRegex("all linear layers +47686 +45.5 %"),
            ContainsRegex("whole model +76198 +57.1 %")));
}

TEST(InspectTest, ChoosingRowsPayOrDoNot) {
  EXPECT_THAT(InspectionTable(InfoOf("opt-blockdynamic")),
              AllOf(HasSubstr("plan: its rows choose what they run, which pays\n"),
                    HasSubstr("which costs more than a dense layer\n")));
}

TEST(InspectTest, JsonHasTheSame) {
  const std::string text = InspectionJson(InfoOf("opt-blockdynamic"));
  EXPECT_EQ(text.back(), '\n');
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["architecture"], "opt");
  ASSERT_EQ(json["layers"].size(), 12u);
  const nlohmann::json& fc2 = json["layers"][5];
  EXPECT_EQ(fc2["name"], "model.decoder.layers.0.fc2");
  EXPECT_EQ(fc2["kind"], "block_sparse_dynamic");
  EXPECT_EQ(fc2["form"], "plan");
  EXPECT_EQ(fc2["pays"], false);
  EXPECT_EQ(fc2["dense_parameters"], 144 * 48 + 48);
  EXPECT_EQ(fc2["tensors"][3]["name"], "model.decoder.layers.0.fc2.weight");
  EXPECT_EQ(fc2["tensors"][3]["shape"], nlohmann::json({144, 48}));
  EXPECT_FALSE(json["layers"][0].contains("pays"));
}

}  // namespace
}  // namespace dyad
