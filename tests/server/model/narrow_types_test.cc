// Narrower weights and KV caches on every served fixture: what they stand for, how far they are
// from float32, and that load does not show.
#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/model/loaded_model.h"

namespace dyad {
namespace {

using testing::Distance;
using testing::ExpectBitsIndependentOfLoad;
using testing::FixtureFolder;
using testing::FixturesDir;
using testing::Golden;
using testing::Load;
using testing::LogprobsOf;
using testing::MemoryTensors;
using testing::ScratchFolder;
using testing::SmallOptions;
using testing::Widened;

class NarrowTypesTest : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Served, NarrowTypesTest, ::testing::ValuesIn(testing::ServedFixtures()),
                         testing::TestName);

TEST_P(NarrowTypesTest, BitsOfInt8DependNeitherOnNeighboursNorChunksNorThreads) {
  ModelOptions options = SmallOptions();
  options.weight_dtype = WeightDtype::kInt8;
  ExpectBitsIndependentOfLoad(FixtureFolder(GetParam()), options);
}

TEST_P(NarrowTypesTest, BitsOfABfloat16CacheDependNeitherOnNeighboursNorChunksNorThreads) {
  ModelOptions options = SmallOptions();
  options.kv_dtype = kernels::KvType::kBfloat16;
  ExpectBitsIndependentOfLoad(FixtureFolder(GetParam()), options);
}

TEST_P(NarrowTypesTest, ABfloat16CacheMovesLogprobsALittle) {
  const Golden golden(GetParam());
  const std::vector<int32_t> ids = golden.Ids("case3.input_ids");
  ModelOptions options = SmallOptions();
  options.kv_dtype = kernels::KvType::kBfloat16;
  LoadedModel model = Load(FixtureFolder(GetParam()), options);
  ASSERT_NE(model.model, nullptr);
  EXPECT_EQ(model.info.kv_dtype, "bfloat16");
  const double moved = Distance(LogprobsOf(model, ids), golden.LogSoftmax("case3.logits"));
  EXPECT_LE(moved, 6e-2);
  EXPECT_GT(moved, 2e-4) << "as exact as float32: nothing was rounded";
  std::printf("a bfloat16 cache moves logprobs by at most %.4f\n", moved);
}

// Embeddings and head included.
TEST_P(NarrowTypesTest, Int8WeightsActAsTheDequantisedOnesInFloat32) {
  const Golden golden(GetParam());
  const std::vector<int32_t> ids = golden.Ids("case3.input_ids");
  ScratchFolder dequantised;
  std::filesystem::copy(FixturesDir() / GetParam() / "config.json", dequantised / "config.json");
  dequantised.Write("model.safetensors",
                    testing::SafetensorsBytes(testing::FixtureTensorsThroughInt8(GetParam())));
  ModelOptions options = SmallOptions();
  options.weight_dtype = WeightDtype::kFloat32;
  LoadedModel wide = Load(dequantised.path(), options);
  options.weight_dtype = WeightDtype::kInt8;
  LoadedModel narrow = Load(FixtureFolder(GetParam()), options);
  ASSERT_NE(wide.model, nullptr);
  ASSERT_NE(narrow.model, nullptr);
  EXPECT_EQ(narrow.info.weight_dtype, "int8");
  EXPECT_LT(narrow.info.weight_bytes, wide.info.weight_bytes / 2);
  const auto logprobs = LogprobsOf(narrow, ids);
  EXPECT_LE(Distance(logprobs, Widened(LogprobsOf(wide, ids))), 2e-4);
  const double from_float32 = Distance(logprobs, golden.LogSoftmax("case3.logits"));
  EXPECT_LE(from_float32, 0.2);  // random weights; README.md has a trained model's
  RecordProperty("int8_from_float32", std::to_string(from_float32));
  std::printf("int8 moves logprobs by at most %.4f\n", from_float32);
}

struct Rounding {
  WeightDtype dtype;
  std::string name;
  float (*round)(float);
  double from_float32;  // how far logprobs may move
};

float ThroughFloat16(float value) { return FromFloat16(ToFloat16(value)); }
float ThroughBfloat16(float value) { return FromBfloat16(ToBfloat16(value)); }

TEST_P(NarrowTypesTest, SixteenBitWeightsActAsTheRoundedOnesInFloat32) {
  const Golden golden(GetParam());
  const std::vector<int32_t> ids = golden.Ids("case3.input_ids");
  for (const Rounding& rounding :
       {Rounding{WeightDtype::kFloat16, "float16", &ThroughFloat16, 1e-2},
        Rounding{WeightDtype::kBfloat16, "bfloat16", &ThroughBfloat16, 6e-2}}) {
    ScratchFolder rounded;
    std::filesystem::copy(FixturesDir() / GetParam() / "config.json", rounded / "config.json");
    const MemoryTensors tensors =
        testing::FixtureTensors(GetParam(), [&](const std::string& name, float value) {
          return testing::IsNormOrBias(name) ? value : rounding.round(value);
        });
    rounded.Write("model.safetensors", testing::SafetensorsBytes(tensors));
    ModelOptions options = SmallOptions();
    options.weight_dtype = rounding.dtype;
    LoadedModel narrow = Load(FixtureFolder(GetParam()), options);
    options.weight_dtype = WeightDtype::kFloat32;
    LoadedModel wide = Load(rounded.path(), options);
    ASSERT_NE(narrow.model, nullptr);
    ASSERT_NE(wide.model, nullptr);
    EXPECT_EQ(narrow.info.weight_dtype, rounding.name);
    EXPECT_EQ(wide.info.weight_dtype, "float32");
    EXPECT_LT(narrow.info.weight_bytes, wide.info.weight_bytes);
    const auto logprobs = LogprobsOf(narrow, ids);
    EXPECT_LE(Distance(logprobs, Widened(LogprobsOf(wide, ids))), 2e-4) << rounding.name;
    EXPECT_LE(Distance(logprobs, golden.LogSoftmax("case3.logits")), rounding.from_float32)
        << rounding.name;
  }
}

TEST(KvTypeTest, ABfloat16CacheHoldsTwiceThePagesInTheSameBytes) {
  ModelOptions options = SmallOptions();
  const LoadedModel wide = Load(FixtureFolder("opt-dense"), options);
  options.kv_dtype = kernels::KvType::kBfloat16;
  const LoadedModel narrow = Load(FixtureFolder("opt-dense"), options);
  ASSERT_NE(wide.model, nullptr);
  ASSERT_NE(narrow.model, nullptr);
  EXPECT_EQ(wide.info.kv_dtype, "float32");
  EXPECT_GE(narrow.model->limits().kv_pages, 2 * wide.model->limits().kv_pages);
  EXPECT_LE(narrow.info.kv_cache_bytes, options.kv_cache_bytes);
}

}  // namespace
}  // namespace dyad
