// Whole folders: golden values of every served fixture, load independence, and refusals. Narrower
// types are in narrow_types_test.cc.
#include "server/model/load_model.h"

#include <sys/resource.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/model/loaded_model.h"

namespace dyad {
namespace {

using ::testing::AllOf;
using testing::Distance;
using testing::Driver;
using testing::ExpectBitsIndependentOfLoad;
using testing::FixtureFolder;
using testing::FixturesDir;
using testing::Golden;
using ::testing::HasSubstr;
using testing::Load;
using testing::LogprobsOf;
using testing::MemoryTensors;
using ::testing::Not;
using testing::Pool;
using testing::RandomIds;
using testing::ScratchFolder;
using testing::Sequence;
using testing::SmallOptions;

class FixtureTest : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Served, FixtureTest, ::testing::ValuesIn(testing::ServedFixtures()),
                         testing::TestName);

TEST_P(FixtureTest, GivesTheGoldenLogprobsAndContinuations) {
  const Golden golden(GetParam());
  LoadedModel model = Load(FixtureFolder(GetParam()), SmallOptions());
  ASSERT_NE(model.model, nullptr);
  for (int i = 0; i < 4; ++i) {
    const std::string name = "case" + std::to_string(i);
    const std::vector<int32_t> ids = golden.Ids(name + ".input_ids");
    const auto expected = golden.LogSoftmax(name + ".logits");
    EXPECT_LE(Distance(LogprobsOf(model, ids), expected), 2e-4) << name;
    EXPECT_LE(Distance(LogprobsOf(model, ids, 5), expected), 2e-4) << name << " in chunks";
    EXPECT_EQ(Driver(*model.model).Greedy(ids, 24), golden.Ids(name + ".greedy")) << name;
  }
}

TEST_P(FixtureTest, ScoresAreTheLogprobsOfTheTargetsToTheBit) {
  LoadedModel model = Load(FixtureFolder(GetParam()), SmallOptions());
  ASSERT_NE(model.model, nullptr);
  const int32_t vocab_size = model.model->limits().vocab_size;
  Driver driver(*model.model);
  Sequence run{RandomIds(60, vocab_size, 3)};
  driver.Finish(run, 17, /*top_n=*/3);
  ASSERT_EQ(run.scores.size(), 59u);
  for (size_t t = 0; t < run.scores.size(); ++t) {
    const std::vector<float>& row = run.logprobs[t];
    const int32_t target = run.ids[t + 1];
    EXPECT_EQ(run.scores[t].logprob, row[target]) << t;
    int32_t rank = 1;
    for (int32_t id = 0; id < vocab_size; ++id) {
      rank += row[id] > row[target] || (row[id] == row[target] && id < target);
    }
    EXPECT_EQ(run.scores[t].rank, rank) << t;
    ASSERT_EQ(run.scores[t].top.size(), 3u);
    EXPECT_EQ(run.scores[t].top[0].logprob, *std::max_element(row.begin(), row.end()));
    EXPECT_GE(run.scores[t].top[1].logprob, run.scores[t].top[2].logprob);
  }
}

TEST_P(FixtureTest, BitsDependNeitherOnNeighboursNorChunksNorThreads) {
  ExpectBitsIndependentOfLoad(FixtureFolder(GetParam()), SmallOptions());
}

TEST(LoadModelTest, DescribesWhatItFound) {
  const LoadedModel model = Load(FixtureFolder("opt-dyad-ot4"), SmallOptions());
  const ModelInfo& info = model.info;
  EXPECT_EQ(info.architecture, "opt");
  EXPECT_EQ(info.device, "cpu");
  EXPECT_EQ(info.weight_dtype, "float32");
  EXPECT_EQ(info.digest.size(), 64u);
  EXPECT_EQ(info.eos_id, 2);
  ASSERT_EQ(info.layers.size(), 12u);
  const LinearInfo& fc1 = info.layers[4];
  EXPECT_EQ(fc1.name, "model.decoder.layers.0.fc1");
  EXPECT_EQ(fc1.kind, "dyad");
  EXPECT_EQ(fc1.variant, "ot");
  EXPECT_EQ(fc1.blocks, 4);
  EXPECT_EQ(fc1.in_features, 76);
  EXPECT_EQ(fc1.out_features, 212);
  EXPECT_EQ(fc1.parameters, 2 * 76 * 212 / 4 + 212);
  EXPECT_EQ(info.layers[0].kind, "dense");
  EXPECT_EQ(info.dense_equivalent_parameters - info.parameters, 4 * (76 * 212 / 2));
  EXPECT_GE(info.weight_bytes, info.parameters * 4);
  EXPECT_GT(info.kv_cache_bytes, 0);
  EXPECT_LE(info.kv_cache_bytes, SmallOptions().kv_cache_bytes);
  const engine::StepCost cost = model.model->cost();
  EXPECT_EQ(cost.structured_flops_per_token, 2.0 * 2 * (4 * 76 * 76 + 2 * 76 * 212 / 2));
  EXPECT_EQ(cost.dense_equivalent_flops_per_token, 2.0 * 2 * (4 * 76 * 76 + 2 * 76 * 212));
  EXPECT_GT(cost.weight_bytes_per_step, 0);
}

TEST(LoadModelTest, LimitsComeFromConfigAndOptions) {
  ModelOptions options = SmallOptions();
  options.max_batch_tokens = 33;
  options.max_logit_rows = 7;
  const LoadedModel model = Load(FixtureFolder("neox-dense"), options);
  ASSERT_NE(model.model, nullptr);
  EXPECT_EQ(model.model->limits().vocab_size, 259);
  EXPECT_EQ(model.model->limits().context_length, 128);
  EXPECT_EQ(model.model->limits().max_batch_tokens, 33);
  EXPECT_EQ(model.model->limits().max_logit_rows, 7);
  EXPECT_GT(model.model->limits().kv_pages, 0);
}

TEST(LoadModelTest, OptionsOutsideTheirRangesAreRefused) {
  ModelOptions options = SmallOptions();
  options.max_batch_tokens = 0;
  EXPECT_THAT(
      LoadModel(FixtureFolder("opt-dense"), options, Pool()),
      testing::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("max_batch_tokens is 0")));
  options = SmallOptions();
  options.kv_cache_bytes = 100;
  EXPECT_THAT(
      LoadModel(FixtureFolder("opt-dense"), options, Pool()),
      testing::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("kv_cache_bytes is 100")));
  EXPECT_THAT(LoadModel("/no/such/folder", SmallOptions(), Pool()),
              testing::StatusIs(absl::StatusCode::kNotFound, HasSubstr("/no/such/folder")));
}

TEST(CheckModelTest, TheUndamagedModelsPass) {
  for (const auto& folder : std::filesystem::directory_iterator(FixturesDir() / "bad_base")) {
    EXPECT_OK(CheckModel(folder.path(), SmallOptions(), Pool()));
  }
  for (const std::string& name : testing::ServedFixtures()) {
    EXPECT_OK(CheckModel(FixtureFolder(name), SmallOptions(), Pool()));
  }
  EXPECT_OK(CheckModel(testing::DemoModelDir(), SmallOptions(), Pool()));
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
    const auto info = CheckModel(folder.path(), SmallOptions(), Pool());
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
  return CheckModel(folder.path(), SmallOptions(), Pool()).status();
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
  EXPECT_OK(CheckModel(folder.path(), options, Pool()));
  options.weight_dtype = WeightDtype::kBfloat16;
  EXPECT_OK(CheckModel(folder.path(), options, Pool()));
  options.weight_dtype = WeightDtype::kFloat16;
  EXPECT_THAT(CheckModel(folder.path(), options, Pool()),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                AllOf(HasSubstr(victim), HasSubstr("overflows float16"))));
}

TEST(CheckModelTest, AStoredHeadMustEqualTheTiedEmbedding) {
  const std::string folder = FixtureFolder("opt-dyad-it4");
  EXPECT_OK(CheckModel(folder, SmallOptions(), Pool()));  // has an equal lm_head.weight
  ScratchFolder other;
  std::filesystem::copy(FixturesDir() / "opt-dyad-it4" / "config.json", other / "config.json");
  const MemoryTensors tensors = testing::FixtureTensors(
      "opt-dyad-it4",
      [](const std::string& name, float v) { return name == "lm_head.weight" ? v + 1 : v; });
  other.Write("model.safetensors", testing::SafetensorsBytes(tensors));
  EXPECT_THAT(CheckModel(other.path(), SmallOptions(), Pool()),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                AllOf(HasSubstr("lm_head.weight"), HasSubstr("tie"))));
}

}  // namespace
}  // namespace dyad
