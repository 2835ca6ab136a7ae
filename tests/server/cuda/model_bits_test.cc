// Whole models on a CUDA device: every number of every step has the bits that the CPU gives it.
// Every fixture, the demonstration model, all types of weights and of keys and values.
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cuda/open.h"
#include "kernels/devices.h"
#include "tests/server/model/model_runner.h"
#include "tests/support/sanitized.h"

namespace dyad {
namespace {

using testing::RandomIds;

std::unique_ptr<kernels::Device> MakeCuda() {
  kernels::cuda::OpenedDevices opened = kernels::cuda::OpenDevices(1, {.threads = 2});
  EXPECT_EQ(opened.fault, "");
  return opened.fault.empty() ? std::move(opened.devices.front()) : nullptr;
}

// A sequence with pages of its own, from the last page of the model on.
struct Run {
  std::vector<int32_t> ids;
  std::vector<int32_t> pages;
  int32_t done = 0;
};

// Scores of the ids that follow, and draws of every kind.
void Ask(engine::Batch& batch, const Run& run, int32_t position, int32_t row) {
  if (position + 1 < std::ssize(run.ids)) {
    batch.score_rows.push_back({row, run.ids[static_cast<size_t>(position) + 1], position % 4});
  }
  engine::DrawRow draw = {.row = row,
                          .uniform = 0x9e3779b97f4a7c15u * static_cast<uint64_t>(position + 1)};
  if (position % 3 == 1) draw.temperature = 0.8f;
  if (position % 6 == 1) draw.top_p = 0.9f;
  if (position % 5 == 0) {
    draw.first_adjustment = static_cast<int32_t>(batch.adjustments.size());
    draw.adjustments = 2;
    batch.adjustments.push_back({.id = 3, .penalty = 1.3f, .add = 2});
    batch.adjustments.push_back({.id = 17, .subtract = 0.5f});
  }
  draw.top_n = position % 2;
  batch.draws.push_back(draw);
}

void Add(engine::Batch& batch, Run& run, int32_t tokens) {
  const auto first_row = static_cast<int32_t>(batch.ids.size());
  batch.chunks.push_back({first_row, tokens, run.done, run.pages});
  for (int32_t i = 0; i < tokens; ++i, ++run.done) {
    batch.ids.push_back(run.ids[static_cast<size_t>(run.done)]);
    Ask(batch, run, run.done, first_row + i);
  }
}

// All numbers of a few steps: three sequences, alone and mixed, in chunks of several sizes.
std::vector<float> Numbers(engine::Model& model) {
  const int32_t vocabulary = model.limits().vocab_size;
  std::vector<Run> runs(3);
  int32_t page = model.limits().kv_pages;
  for (size_t i = 0; i < runs.size(); ++i) {
    runs[i].ids = RandomIds(40, vocabulary, static_cast<uint32_t>(i) + 1);
    for (int32_t p = 0; p < 3; ++p) runs[i].pages.push_back(--page);
  }
  std::vector<float> numbers;
  const std::vector<std::vector<int32_t>> tokens = {{20, 3, 0}, {1, 1, 1}, {0, 30, 1}, {1, 1, 1}};
  for (const std::vector<int32_t>& of_step : tokens) {
    engine::Batch batch;
    for (size_t i = 0; i < runs.size(); ++i) {
      if (of_step[i] > 0) Add(batch, runs[i], of_step[i]);
    }
    const absl::StatusOr<engine::StepResult> result = model.Step(batch);
    EXPECT_OK(result);
    if (!result.ok()) return numbers;
    const auto add_top = [&](const std::vector<engine::TopToken>& top) {
      for (const engine::TopToken& entry : top) {
        numbers.insert(numbers.end(), {static_cast<float>(entry.id), entry.logprob});
      }
    };
    for (const engine::TokenScore& score : result->scores) {
      numbers.insert(numbers.end(), {score.logprob, static_cast<float>(score.rank)});
      add_top(score.top);
    }
    for (const engine::GeneratedToken& token : result->drawn) {
      numbers.insert(numbers.end(), {token.logprob, static_cast<float>(token.id)});
      add_top(token.top);
    }
  }
  return numbers;
}

void ExpectTheCpusBits(const std::string& folder, WeightDtype weights, kernels::KvType kv) {
  ModelOptions options = testing::SmallOptions();
  options.weight_dtype = weights;
  options.kv_dtype = kv;
  auto cuda = LoadModel(folder, options, MakeCuda());
  auto cpu = LoadModel(folder, options, kernels::MakeCpuDevice({.threads = 2}));
  ASSERT_OK(cuda);
  ASSERT_OK(cpu);
  const std::vector<float> found = Numbers(*cuda->model), expected = Numbers(*cpu->model);
  ASSERT_GT(expected.size(), 300u);
  EXPECT_EQ(found, expected);
}

// Under a sanitizer one for each kind of layer and network.
std::vector<std::string> Fixtures() {
  if (!testing::kSanitized) return testing::ServedFixtures();
  return {"opt-dyad-it3-odd", "opt-dyad-dt4", "opt-monarch", "neox-dyad-serial"};
}

class ModelBitsTest : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Served, ModelBitsTest, ::testing::ValuesIn(Fixtures()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(ModelBitsTest, AreTheCpus) {
  ExpectTheCpusBits(testing::FixtureFolder(GetParam()), WeightDtype::kAsStored,
                    kernels::KvType::kFloat32);
}

TEST(ModelBitsTest, AreTheCpusForEveryType) {
  if (testing::kSanitized) GTEST_SKIP() << "kernels_cuda_tests has every type under sanitizers";
  for (const WeightDtype weights :
       {WeightDtype::kFloat32, WeightDtype::kBfloat16, WeightDtype::kFloat16, WeightDtype::kInt8}) {
    for (const char* fixture : {"opt-dyad-ot4", "neox-dyad-it4"}) {
      ExpectTheCpusBits(testing::FixtureFolder(fixture), weights, kernels::KvType::kBfloat16);
    }
  }
}

TEST(ModelBitsTest, OfTheDemonstrationModelAreTheCpus) {
  if (testing::kSanitized) GTEST_SKIP() << "too large for a sanitizer";
  ExpectTheCpusBits(testing::DemoModelDir().string(), WeightDtype::kAsStored,
                    kernels::KvType::kFloat32);
}

}  // namespace
}  // namespace dyad
