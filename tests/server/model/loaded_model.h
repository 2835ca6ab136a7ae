// Whole folders loaded and run, for tests of all that LoadModel does.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/server/model/golden.h"
#include "tests/server/model/model_runner.h"

namespace dyad::testing {

inline kernels::ThreadPool& Pool() {
  static auto* pool = new kernels::ThreadPool(2);
  return *pool;
}

inline LoadedModel Load(const std::string& folder, const ModelOptions& options,
                        kernels::ThreadPool& pool = Pool()) {
  auto model = LoadModel(folder, options, pool);
  EXPECT_OK(model);
  return model.ok() ? *std::move(model) : LoadedModel();
}

inline std::vector<std::vector<float>> LogprobsOf(LoadedModel& model,
                                                  const std::vector<int32_t>& ids,
                                                  int32_t chunk = 128) {
  Driver driver(*model.model);
  Sequence run{ids};
  driver.Finish(run, chunk);
  return run.logprobs;
}

inline std::vector<std::vector<double>> Widened(const std::vector<std::vector<float>>& rows) {
  std::vector<std::vector<double>> result;
  for (const auto& row : rows) result.emplace_back(row.begin(), row.end());
  return result;
}

// Alone on one thread, mixed with others on two, and token by token.
inline void ExpectBitsIndependentOfLoad(const std::string& folder, const ModelOptions& options) {
  kernels::ThreadPool single(1);
  LoadedModel alone = Load(folder, options, single);
  LoadedModel mixed = Load(folder, options);
  ASSERT_NE(alone.model, nullptr);
  ASSERT_NE(mixed.model, nullptr);
  std::vector<Sequence> runs(8);
  for (size_t i = 0; i < runs.size(); ++i) {
    runs[i].ids = RandomIds(1 + static_cast<int64_t>(i * i), alone.model->limits().vocab_size, i);
  }
  Driver(*mixed.model, 7).FinishMixed(runs);
  for (const Sequence& run : runs) {
    Sequence reference{run.ids};
    Driver(*alone.model).Finish(reference, 128);
    EXPECT_EQ(run.logprobs, reference.logprobs) << run.ids.size() << " tokens";
    EXPECT_EQ(run.scores, reference.scores) << run.ids.size() << " tokens";
    Sequence one_by_one{run.ids};
    Driver(*alone.model, 2).Finish(one_by_one, 1);
    EXPECT_EQ(one_by_one.logprobs, reference.logprobs) << run.ids.size() << " tokens";
  }
}

inline std::string TestName(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace dyad::testing
