// Ten thousand random batches: every family of layers, routed ones most, every type of weights and
// of the cache, every arithmetic. A row's bits are those that it has alone, on one thread.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/devices.h"
#include "server/model/load_model.h"
#include "tests/server/model/model_runner.h"
#include "tests/support/sanitized.h"

namespace dyad {
namespace {

using kernels::Arithmetic;
using testing::Driver;
using testing::Sequence;

struct Numbers {
  WeightDtype weights = WeightDtype::kAsStored;
  kernels::KvType kv = kernels::KvType::kFloat32;
  Arithmetic arithmetic = Arithmetic::kExact;
};
constexpr Numbers kNumbers[] = {{},
                                {.kv = kernels::KvType::kBfloat16},
                                {.kv = kernels::KvType::kInt8},
                                {.weights = WeightDtype::kInt8},
                                {WeightDtype::kInt8, {}, Arithmetic::kInteger24},
                                {WeightDtype::kInt8, {}, Arithmetic::kInteger16},
                                {WeightDtype::kInt8, {}, Arithmetic::kInteger8},
                                {WeightDtype::kBfloat16, {}, Arithmetic::kBfloat16}};

absl::StatusOr<LoadedModel> Load(const std::string& fixture, const Numbers& numbers, int threads) {
  ModelOptions options = testing::SmallOptions();
  options.weight_dtype = numbers.weights;
  options.kv_dtype = numbers.kv;
  options.arithmetic = numbers.arithmetic;
  options.max_batch_tokens = options.max_draws = 256;
  return LoadModel(testing::FixtureFolder(fixture), options,
                   kernels::MakeCpuDevice({.threads = threads, .arithmetic = numbers.arithmetic}));
}

bool IsRouted(const std::string& fixture) {
  return fixture.find("moe") != std::string::npos || fixture.find("dynamic") != std::string::npos;
}

// Batches of one model: texts of 1 to 128 tokens, chunks and neighbours drawn anew each round.
// Returns how many there were, at least `least`.
int64_t ExpectBitsOfEachAlone(const std::string& fixture, const Numbers& numbers, int64_t least,
                              uint32_t seed) {
  absl::StatusOr<LoadedModel> alone = Load(fixture, numbers, 1);
  EXPECT_OK(alone);
  if (!alone.ok()) return 0;
  const engine::ModelLimits& limits = alone->model->limits();
  std::vector<Sequence> texts;
  for (const int32_t tokens : {1, 2, 5, 16, 17, 33, 64, 100, 128}) {
    const int64_t most = std::min<int64_t>(tokens, limits.context_length);
    texts.emplace_back(testing::RandomIds(most, limits.vocab_size, static_cast<uint32_t>(tokens)));
    Driver(*alone->model).Finish(texts.back(), 256);
  }
  int64_t batches = 0;
  for (; batches < least; ++seed) {
    absl::StatusOr<LoadedModel> loaded = Load(fixture, numbers, 1 + static_cast<int>(seed % 3));
    EXPECT_OK(loaded);
    if (!loaded.ok()) return batches;
    Driver driver(*loaded->model, seed);
    for (int round = 0; round < 12 && batches < least; ++round) {
      std::vector<Sequence> runs;
      for (const Sequence& text : texts) runs.emplace_back(text.ids);
      batches += driver.FinishMixed(runs);
      for (size_t i = 0; i < runs.size(); ++i) {
        EXPECT_EQ(runs[i].logprobs, texts[i].logprobs)
            << fixture << ", " << NameOf(numbers.arithmetic) << ", " << loaded->info.weight_dtype
            << ", seed " << seed << ", round " << round << ", " << runs[i].ids.size() << " tokens";
        EXPECT_EQ(runs[i].scores, texts[i].scores) << fixture;
      }
      if (::testing::Test::HasFailure()) return batches;
    }
  }
  return batches;
}

TEST(RandomBatchesTest, TenThousandHaveTheBitsOfEachRowAlone) {
  constexpr int64_t kBatches = testing::kSanitized ? 600 : 10'000;
  constexpr uint32_t kOneOf = testing::kSanitized ? 3 : 1;  // loading a model takes long there
  std::vector<std::string> routed, others = testing::ServedFixtures();
  for (const std::string& name : testing::StructuredFixtures()) {
    (IsRouted(name) ? routed : others).push_back(name);
  }
  ASSERT_EQ(routed.size(), 6u);
  int64_t batches = 0;
  uint32_t seed = 0;
  for (const auto* const fixtures : {&routed, &others}) {
    const auto cases = static_cast<int64_t>(fixtures->size() * std::size(kNumbers));
    for (const std::string& fixture : *fixtures) {
      for (const Numbers& numbers : kNumbers) {
        if (++seed % kOneOf != 0) continue;
        const int64_t count = (kOneOf * kBatches / 2 + cases - 1) / cases;
        batches += ExpectBitsOfEachAlone(fixture, numbers, count, seed);
        if (HasFailure()) return;
      }
    }
  }
  EXPECT_GE(batches, kBatches);
  std::printf("%d batches, 0 rows differ\n", static_cast<int>(batches));
}

}  // namespace
}  // namespace dyad
