// What a step gives back, and batches that break the engine's promise.
#include "server/model/network_model.h"

#include <memory>
#include <stdexcept>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/catch_exceptions.h"
#include "server/model/load_model.h"
#include "tests/server/model/damaged_copy.h"
#include "tests/server/model/model_runner.h"
#include "tests/server/model/small_model.h"
#include "tests/support/forwarding_device.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

class NetworkModelTest : public ::testing::Test {
 protected:
  // Two sequences, 5 and 18 tokens, the second one from position 0 over two pages.
  engine::Batch GoodBatch() {
    engine::Batch batch;
    for (int i = 0; i < 23; ++i) batch.ids.push_back((i * 7) % 50);
    batch.chunks.push_back({0, 5, 0, first_pages_});
    batch.chunks.push_back({5, 18, 0, second_pages_});
    batch.draws = {{.row = 4, .top_n = 20}, {.row = 22, .temperature = 1, .top_n = 20}};
    batch.score_rows = {{0, 7, 0}, {4, 3, 5}, {22, 49, 20}};
    return batch;
  }

  std::vector<int32_t> first_pages_ = {2}, second_pages_ = {0, 1};
  std::unique_ptr<NetworkModel> model_ =
      testing::MakeSmallModel(kernels::MakeCpuDevice({.threads = 2}));
};

TEST_F(NetworkModelTest, DrawsAndScoresOfOneRowAgreeToTheBit) {
  const auto result = model_->Step(GoodBatch());
  ASSERT_OK(result);
  ASSERT_EQ(result->drawn.size(), 2u);
  ASSERT_EQ(result->scores.size(), 3u);
  EXPECT_EQ(result->drawn[0].top[0].id, result->drawn[0].id);
  EXPECT_EQ(result->drawn[0].top[0].logprob, result->drawn[0].logprob);
  EXPECT_EQ(result->scores[2].top, result->drawn[1].top);
  engine::Batch again = GoodBatch();
  again.score_rows = {{4, result->drawn[0].id, 0}, {22, result->drawn[1].id, 0}};
  const std::vector<engine::TokenScore> before(result->scores.begin(), result->scores.end());
  const float logprobs[] = {result->drawn[0].logprob, result->drawn[1].logprob};
  const auto scored = model_->Step(again);
  ASSERT_OK(scored);
  EXPECT_EQ(scored->scores[0].logprob, logprobs[0]);
  EXPECT_EQ(scored->scores[1].logprob, logprobs[1]);
  EXPECT_EQ(before[0].top.size(), 0u);
  EXPECT_EQ(before[1].top.size(), 5u);
  EXPECT_EQ(before[2].top.size(), 20u);
}

TEST_F(NetworkModelTest, ResultsDoNotDependOnWhatTheStepBeforeAsked) {
  const auto first = model_->Step(GoodBatch());
  ASSERT_OK(first);
  const std::vector<engine::TokenScore> scores(first->scores.begin(), first->scores.end());
  engine::Batch other = GoodBatch();
  other.draws.clear();
  other.score_rows = {{1, 1, 20}};
  ASSERT_OK(model_->Step(other));
  const auto again = model_->Step(GoodBatch());
  ASSERT_OK(again);
  EXPECT_EQ(std::vector<engine::TokenScore>(again->scores.begin(), again->scores.end()), scores);
}

// The second sequence begins as the first one does, with 4 of its rows.
TEST_F(NetworkModelTest, ASequenceThatSharesRowsGetsTheBitsOfItsOwn) {
  std::vector<int32_t> ids;
  for (int i = 0; i < 20; ++i) ids.push_back((i * 7) % 50);
  engine::Batch alone;
  alone.ids = ids;
  alone.chunks.push_back({0, 20, 0, second_pages_});
  alone.draws = {{.row = 19, .temperature = 1, .uniform = uint64_t{1} << 63, .top_n = 20}};
  alone.score_rows = {{3, 11, 2}, {19, 7, 0}};
  const auto expected = model_->Step(alone);
  ASSERT_OK(expected);
  const engine::GeneratedToken drawn = expected->drawn[0];
  const std::vector<engine::TokenScore> scores(expected->scores.begin(), expected->scores.end());

  const std::vector<int32_t> other_pages = {3, 4};
  engine::Batch shared;
  shared.ids = {ids.begin(), ids.begin() + 5};
  shared.ids.insert(shared.ids.end(), ids.begin() + 4, ids.end());
  shared.ids[4] = 40;
  shared.chunks.push_back({0, 5, 0, first_pages_});
  shared.chunks.push_back({5, 16, 4, other_pages});
  shared.stores.push_back({2, 2, 2, other_pages});
  shared.stores.push_back({0, 2, 0, other_pages});
  shared.draws = alone.draws;
  shared.draws[0].row = 20;
  shared.score_rows = {{3, 11, 2}, {3, 40, 0}, {20, 7, 0}};
  const auto result = model_->Step(shared);
  ASSERT_OK(result);
  EXPECT_EQ(result->drawn[0].id, drawn.id);
  EXPECT_EQ(result->drawn[0].logprob, drawn.logprob);
  EXPECT_EQ(result->drawn[0].top, drawn.top);
  ASSERT_EQ(result->scores.size(), 3u);
  EXPECT_EQ(result->scores[0], scores[0]);
  EXPECT_EQ(result->scores[2], scores[1]);
}

TEST_F(NetworkModelTest, MoreTargetsThanRowsAreScored) {
  engine::Batch batch = GoodBatch();
  batch.score_rows.clear();
  for (int32_t row = 0; row < 23; ++row) {
    for (int32_t target = 0; target < 50; ++target) batch.score_rows.push_back({row, target, 1});
  }
  const auto result = model_->Step(batch);
  ASSERT_OK(result);
  ASSERT_EQ(result->scores.size(), 23u * 50);
  for (size_t row = 0; row < 23; ++row) {
    int64_t ranks = 0;
    for (size_t target = 0; target < 50; ++target) {
      ranks += result->scores[row * 50 + target].rank;
    }
    EXPECT_EQ(ranks, 50 * 51 / 2);
  }
  const engine::GeneratedToken& drawn = result->drawn[0];
  EXPECT_EQ(result->scores[4 * 50 + static_cast<size_t>(drawn.id)].logprob, drawn.logprob);
}

TEST_F(NetworkModelTest, ABatchMayBeEmptyOrAskForNothing) {
  const auto empty = model_->Step({});
  ASSERT_OK(empty);
  EXPECT_TRUE(empty->drawn.empty() && empty->scores.empty());
  engine::Batch silent = GoodBatch();
  silent.draws.clear();
  silent.score_rows.clear();
  const auto result = model_->Step(silent);
  ASSERT_OK(result);
  EXPECT_TRUE(result->drawn.empty() && result->scores.empty());
}

TEST(FailingGateTest, TheLayerIsNamed) {
  testing::DamagedCopy copy("opt-blockdynamic");
  for (const char* gate : {"weight", "bias"}) {
    const std::string name = std::string("model.decoder.layers.1.fc1.gates.0.") + gate;
    copy.Put(name, name.ends_with("bias") ? std::vector<int64_t>{27} : std::vector{27l, 48l});
  }
  auto loaded =
      LoadModel(copy.Write(), testing::SmallOptions(), kernels::MakeCpuDevice({.threads = 1}));
  ASSERT_OK(loaded);
  const std::vector<int32_t> pages = {0};
  engine::Batch batch;
  batch.ids = {3, 4, 5};
  batch.chunks.push_back({0, 3, 0, pages});
  for (int step = 0; step < 2; ++step) {
    const auto result = loaded->model->Step(batch);
    ASSERT_OK(result);
    ASSERT_EQ(result->failed.size(), 3u);
    EXPECT_EQ(result->failed[2].row, 2);
    EXPECT_EQ(result->failed[2].layer, "model.decoder.layers.1.fc1");
  }
}

TEST_F(NetworkModelTest, TellsItsLimitsAndCost) {
  EXPECT_EQ(model_->limits().vocab_size, 50);
  EXPECT_EQ(model_->limits().context_length, 40);
  EXPECT_EQ(model_->limits().max_batch_tokens, 24);
  EXPECT_EQ(model_->limits().max_draws, 8);
  EXPECT_GT(model_->limits().kv_pages, 10);
  EXPECT_EQ(model_->cost().weight_bytes_per_step, 3);
}

TEST_F(NetworkModelTest, ABrokenBatchIsAnInternalErrorAndDoesNoHarm) {
  engine::Batch batch = GoodBatch();
  batch.ids[3] = 50;
  EXPECT_THAT(model_->Step(batch), StatusIs(absl::StatusCode::kInternal, HasSubstr("id is 50")));
  EXPECT_OK(model_->Step(GoodBatch()));
}

// A device that has failed says so at the end of every step.
class LostDevice final : public kernels::ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;
  kernels::StepOutput End() override {
    kernels::StepOutput output = device().End();
    output.error = "the device is lost";
    return output;
  }
};

TEST(LostDeviceTest, EndsTheStepWithItsReason) {
  const auto model =
      testing::MakeSmallModel(std::make_unique<LostDevice>(kernels::MakeCpuDevice({.threads = 1})));
  const std::vector<int32_t> pages = {0};
  engine::Batch batch;
  batch.ids = {1};
  batch.chunks.push_back({0, 1, 0, pages});
  batch.draws = {{.row = 0}};
  EXPECT_THAT(model->Step(batch), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("is lost")));
}

TEST(CatchExceptionsTest, TurnsThemIntoOneLine) {
  EXPECT_OK(CatchExceptions("x", [] { return absl::OkStatus(); }));
  EXPECT_THAT(CatchExceptions("step", []() -> absl::Status { throw std::bad_alloc(); }),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("step: not enough memory")));
  const absl::Status status = CatchExceptions(
      "step", []() -> absl::Status { throw std::runtime_error("boom\nframe #0: f\nframe #1: g"); });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(status.message(), "step: boom");
}

}  // namespace
}  // namespace dyad
