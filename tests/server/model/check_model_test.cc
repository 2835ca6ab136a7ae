// Folders that are refused, and that a refusal costs no memory.
#include <sys/resource.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/devices.h"
#include "server/base/status_macros.h"
#include "server/model/load_model.h"
#include "tests/server/model/golden.h"
#include "tests/server/model/model_runner.h"

namespace dyad {
namespace {

using ::testing::AllOf;
using testing::FixtureFolder;
using testing::FixturesDir;
using ::testing::HasSubstr;
using testing::MemoryTensors;
using ::testing::Not;
using testing::ScratchFolder;
using testing::SmallOptions;

absl::StatusOr<ModelInfo> Check(const std::filesystem::path& folder, ModelOptions options) {
  options.kv_cache = KvCache::kOnePage;
  ASSIGN_OR_RETURN(LoadedModel model,
                   LoadModel(folder.string(), options, kernels::MakeCpuDevice({.threads = 2})));
  EXPECT_EQ(model.model->limits().kv_pages, 1);
  return std::move(model.info);
}

TEST(CheckModelTest, TheUndamagedModelsPass) {
  for (const auto& folder : std::filesystem::directory_iterator(FixturesDir() / "bad_base")) {
    EXPECT_OK(Check(folder.path(), SmallOptions()));
  }
  for (const std::string& name : testing::ServedFixtures()) {
    EXPECT_OK(Check(FixtureFolder(name), SmallOptions()));
  }
  EXPECT_OK(Check(testing::DemoModelDir(), SmallOptions()));
}

int64_t PeakBytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

// Every damaged folder, and those of structures that are not served: a message that names a file, a
// tensor or a key, and no memory taken.
TEST(CheckModelTest, DamagedFoldersAreRefusedByNameAndWithoutMemory) {
  const int64_t before = PeakBytes();
  int count = 0;
  for (const auto& folder : std::filesystem::directory_iterator(FixturesDir() / "bad")) {
    const auto info = Check(folder.path(), SmallOptions());
    const std::string name = folder.path().filename().string();
    std::printf("%-28s %s\n", name.c_str(), info.status().ToString().c_str());
    ASSERT_FALSE(info.ok()) << name;
    EXPECT_THAT(std::string(info.status().message()),
                ::testing::ContainsRegex("config\\.json|\\.safetensors|\\.bin|model\\."))
        << name;
    EXPECT_NE(info.status().code(), absl::StatusCode::kInternal) << info.status();
    EXPECT_EQ(info.status().message().find('\n'), absl::string_view::npos);
    ++count;
  }
  EXPECT_GE(count, 40);
  EXPECT_LT(PeakBytes() - before, 64 << 20);
}

// A folder with a changed config.json and the tensors of `fixture`.
absl::Status CheckWith(const std::string& fixture, const nlohmann::json& changes) {
  ScratchFolder folder;
  const std::string text = testing::ReadWhole(FixturesDir() / fixture / "config.json");
  nlohmann::json config = nlohmann::json::parse(text);
  config.merge_patch(changes);
  folder.Write("config.json", config.dump());
  folder.Write("model.safetensors", testing::SafetensorsBytes(testing::FixtureTensors(fixture)));
  return Check(folder.path(), SmallOptions()).status();
}

TEST(CheckModelTest, StructuredLinearMustAgreeWithTheTensors) {
  EXPECT_OK(CheckWith("opt-dyad-it4-nokey", nlohmann::json::object()));
  const auto key = [](const char* path, const nlohmann::json& value) {
    return nlohmann::json{{"structured_linear", {{path, value}}}};
  };
  EXPECT_OK(CheckWith("opt-dyad-it4-nokey",
                      key("decoder.layers.*.fc1", {{"kind", "dyad"}, {"variant", "dt"}})));
  EXPECT_THAT(
      CheckWith("opt-dyad-it4-nokey", key("model.decoder.layers.1.fc1", {{"kind", "dense"}})),
      testing::StatusIs(absl::StatusCode::kInvalidArgument,
                        AllOf(HasSubstr("layers.1.fc1 is dense"), HasSubstr("wl, wu"))));
  EXPECT_THAT(CheckWith("opt-dense", key("model.decoder.layers.*.fc2", {{"kind", "dyad"}})),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                AllOf(HasSubstr("is dyad"), HasSubstr("bias, weight"))));
  EXPECT_THAT(CheckWith("opt-dense", key("model.decoder.layers.*.fc9", {{"kind", "dense"}})),
              testing::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("fc9")));
  EXPECT_THAT(CheckWith("opt-dyad-it4-nokey", {{"dyad_dim", 2}}),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                AllOf(HasSubstr("dyad_dim is 2"), HasSubstr("4 blocks"))));
}

TEST(CheckModelTest, SizesThatOnlyTheConfigClaimsAreRefusedBeforeMemoryIsTaken) {
  const int64_t before = PeakBytes();
  for (const nlohmann::json& claim :
       {nlohmann::json{{"vocab_size", 1 << 24}}, nlohmann::json{{"num_hidden_layers", 1024}},
        nlohmann::json{{"ffn_dim", 1 << 18}},
        nlohmann::json{{"max_position_embeddings", 1 << 17}}}) {
    EXPECT_THAT(CheckWith("opt-dense", claim),
                testing::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("expected")))
        << claim;
  }
  EXPECT_LT(PeakBytes() - before, 32 << 20);
}

TEST(CheckModelTest, ConversionMustNotOverflow) {
  ScratchFolder folder;
  std::filesystem::copy(FixturesDir() / "opt-dense" / "config.json", folder / "config.json");
  const std::string victim = "decoder.layers.1.fc2.weight";
  MemoryTensors tensors = testing::FixtureTensors(
      "opt-dense", [&](const std::string& name, float v) { return name == victim ? 7e4f : v; });
  ASSERT_TRUE(tensors.contains(victim));
  folder.Write("model.safetensors", testing::SafetensorsBytes(tensors));
  ModelOptions options = SmallOptions();
  EXPECT_OK(Check(folder.path(), options));
  options.weight_dtype = WeightDtype::kBfloat16;
  EXPECT_OK(Check(folder.path(), options));
  options.weight_dtype = WeightDtype::kFloat16;
  EXPECT_THAT(Check(folder.path(), options),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                AllOf(HasSubstr(victim), HasSubstr("overflows float16"))));
}

TEST(CheckModelTest, AStoredHeadMustEqualTheTiedEmbedding) {
  const std::string folder = FixtureFolder("opt-dyad-it4");
  EXPECT_OK(Check(folder, SmallOptions()));  // has an equal lm_head.weight
  ScratchFolder other;
  std::filesystem::copy(FixturesDir() / "opt-dyad-it4" / "config.json", other / "config.json");
  const MemoryTensors tensors = testing::FixtureTensors(
      "opt-dyad-it4",
      [](const std::string& name, float v) { return name == "lm_head.weight" ? v + 1 : v; });
  other.Write("model.safetensors", testing::SafetensorsBytes(tensors));
  EXPECT_THAT(Check(other.path(), SmallOptions()),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                AllOf(HasSubstr("lm_head.weight"), HasSubstr("tie"))));
}

}  // namespace
}  // namespace dyad
