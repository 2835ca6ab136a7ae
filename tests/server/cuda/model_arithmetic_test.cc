// Whole models on tensor cores: how far their numbers are from exact ones of the same weights, and
// that no number depends on what else a step computes.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cuda/open.h"
#include "kernels/devices.h"
#include "tests/server/model/model_runner.h"
#include "tests/support/sanitized.h"

namespace dyad {
namespace {

using kernels::Arithmetic;
using testing::RandomIds;

std::unique_ptr<engine::Model> Load(const std::string& folder, WeightDtype weights,
                                    std::unique_ptr<kernels::Device> device) {
  ModelOptions options = testing::SmallOptions();
  options.weight_dtype = weights;
  auto loaded = LoadModel(folder, options, std::move(device));
  EXPECT_OK(loaded);
  return loaded.ok() ? std::move(loaded->model) : nullptr;
}

std::unique_ptr<engine::Model> LoadOnTensorCores(const std::string& folder, WeightDtype weights,
                                                 Arithmetic arithmetic) {
  kernels::cuda::OpenedDevices opened =
      kernels::cuda::OpenDevices(1, {.threads = 2, .arithmetic = arithmetic});
  EXPECT_EQ(opened.fault, "");
  if (!opened.fault.empty()) return nullptr;
  return Load(folder, weights, std::move(opened.devices.front()));
}

// Logprobs of each id that follows, of several sequences in one step after the other: `chunk`
// tokens of each at a time.
std::vector<std::vector<float>> LogprobsOf(engine::Model& model,
                                           const std::vector<std::vector<int32_t>>& sequences,
                                           int32_t chunk) {
  const int32_t pages_each = model.limits().kv_pages / static_cast<int32_t>(sequences.size());
  std::vector<std::vector<int32_t>> pages(sequences.size());
  std::vector<std::vector<float>> logprobs(sequences.size());
  for (size_t i = 0; i < sequences.size(); ++i) {
    pages[i].resize(static_cast<size_t>(std::min(pages_each, 4)));
    std::iota(pages[i].begin(), pages[i].end(), static_cast<int32_t>(i) * pages_each);
  }
  for (int32_t done = 0;; done += chunk) {
    engine::Batch batch;
    std::vector<size_t> owner;
    for (size_t i = 0; i < sequences.size(); ++i) {
      const auto& ids = sequences[i];
      const int32_t count = std::min(chunk, static_cast<int32_t>(std::ssize(ids)) - done);
      if (count <= 0) continue;
      const auto first_row = static_cast<int32_t>(batch.ids.size());
      batch.chunks.push_back({first_row, count, done, pages[i]});
      for (int32_t t = 0; t < count; ++t) {
        const auto at = static_cast<size_t>(done + t);
        batch.ids.push_back(ids[at]);
        if (at + 1 == ids.size()) continue;
        batch.score_rows.push_back({first_row + t, ids[at + 1], 0});
        owner.push_back(i);
      }
    }
    if (batch.ids.empty()) return logprobs;
    const auto result = model.Step(batch);
    EXPECT_OK(result);
    if (!result.ok()) return logprobs;
    for (size_t i = 0; i < owner.size(); ++i) {
      logprobs[owner[i]].push_back(result->scores[i].logprob);
    }
  }
}

std::vector<float> LogprobsOf(engine::Model& model, const std::vector<int32_t>& ids,
                              int32_t chunk) {
  return LogprobsOf(model, std::vector<std::vector<int32_t>>{ids}, chunk)[0];
}

// The largest |a − b|; NaN counts as infinite.
double Distance(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double distance = std::abs(double{a[i]} - b[i]);
    largest = std::max(largest, distance == distance ? distance : INFINITY);
  }
  return largest;
}

class ModelArithmeticTest : public ::testing::TestWithParam<Arithmetic> {};
INSTANTIATE_TEST_SUITE_P(Both, ModelArithmeticTest,
                         ::testing::ValuesIn(testing::kSanitized
                                                 ? std::vector{Arithmetic::kAccurate}
                                                 : std::vector{Arithmetic::kAccurate,
                                                               Arithmetic::kFast}),
                         [](const auto& info) { return std::string(NameOf(info.param)); });

void ExpectNearExact(const std::string& fixture, WeightDtype weights, Arithmetic arithmetic) {
  const std::string folder = testing::FixtureFolder(fixture);
  const auto exact = Load(folder, weights, kernels::MakeCpuDevice({.threads = 2}));
  const auto tested = LoadOnTensorCores(folder, weights, arithmetic);
  ASSERT_NE(exact, nullptr);
  ASSERT_NE(tested, nullptr);
  const std::vector<int32_t> ids = RandomIds(24, exact->limits().vocab_size, 5);
  const double moved = Distance(LogprobsOf(*tested, ids, 16), LogprobsOf(*exact, ids, 16));
  EXPECT_LE(moved, arithmetic == Arithmetic::kAccurate ? 2e-4 : 6e-2) << fixture;
  EXPECT_GT(moved, 0) << fixture << ": nothing was computed on tensor cores";
  std::printf("%s, %s: logprobs move by at most %.2g\n", fixture.c_str(),
              std::string(NameOf(arithmetic)).c_str(), moved);
}

TEST_P(ModelArithmeticTest, IsNearTheExactOne) {
  for (const std::string& fixture : testing::ServedFixtures()) {
    if (testing::kSanitized && fixture != "opt-monarch") continue;
    ExpectNearExact(fixture, WeightDtype::kFloat16, GetParam());
  }
}

TEST_P(ModelArithmeticTest, IsNearTheExactOneForEveryType) {
  ExpectNearExact("opt-dyad-ot4", WeightDtype::kBfloat16, GetParam());
  ExpectNearExact("neox-dyad-it4", WeightDtype::kInt8, GetParam());
}

// Fixtures are stored in float32.
TEST_P(ModelArithmeticTest, IsRefusedForFloat32Weights) {
  const auto load = [](WeightDtype weights) {
    kernels::cuda::OpenedDevices opened =
        kernels::cuda::OpenDevices(1, {.threads = 1, .arithmetic = GetParam()});
    ModelOptions options = testing::SmallOptions();
    options.weight_dtype = weights;
    options.arithmetic = GetParam();
    return LoadModel(testing::FixtureFolder("opt-dyad-ot4"), options,
                     std::move(opened.devices.front()));
  };
  const auto refused = load(WeightDtype::kAsStored);
  EXPECT_THAT(refused.status(),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                ::testing::HasSubstr(std::string(NameOf(GetParam())) +
                                                     "; with weights of float32 ")));
  const auto loaded = load(WeightDtype::kInt8);
  ASSERT_OK(loaded);
  EXPECT_EQ(loaded->info.arithmetic, NameOf(GetParam()));
}

TEST_P(ModelArithmeticTest, DependsNeitherOnNeighboursNorChunks) {
  for (const char* fixture : {"opt-dyad-it3-odd", "neox-dyad-serial"}) {
    const auto model =
        LoadOnTensorCores(testing::FixtureFolder(fixture), WeightDtype::kFloat16, GetParam());
    ASSERT_NE(model, nullptr);
    std::vector<std::vector<int32_t>> sequences;
    for (const int64_t tokens : {2, 9, 30}) {
      sequences.push_back(
          RandomIds(tokens, model->limits().vocab_size, static_cast<uint32_t>(tokens)));
    }
    const auto together = LogprobsOf(*model, sequences, 16);
    for (size_t i = 0; i < sequences.size(); ++i) {
      EXPECT_EQ(LogprobsOf(*model, sequences[i], 30), together[i]);
      EXPECT_EQ(LogprobsOf(*model, sequences[i], 1), together[i]);
    }
  }
}

}  // namespace
}  // namespace dyad
