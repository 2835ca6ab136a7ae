// What a step gives back, and batches that break the engine's promise.
#include "server/model/network_model.h"

#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/catch_exceptions.h"
#include "server/model/opt.h"
#include "tests/server/model/loading.h"
#include "tests/server/model/random_network.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using testing::FakeCheckpoint;
using ::testing::HasSubstr;
using testing::Loading;
using testing::NetworkFiller;
using testing::SmallOpt;
using testing::StatusIs;

class NetworkModelTest : public ::testing::Test {
 protected:
  NetworkModelTest() {
    FakeCheckpoint checkpoint;
    NetworkFiller{.checkpoint = checkpoint}.Opt(SmallOpt());
    Loading loading(checkpoint);
    auto network = LoadOpt(SmallOpt(), loading.context);
    EXPECT_OK(network);
    const NetworkShape shape = (*network)->shape();
    auto cache = KvCache::Map(1 << 20, shape.layers, shape.attention);
    EXPECT_OK(cache);
    model_ =
        std::make_unique<NetworkModel>(*std::move(network), *std::move(cache), StepBounds{24, 8},
                                       engine::StepCost{.weight_bytes_per_step = 3}, pool_);
  }

  // Two sequences, 5 and 18 tokens, the second one from position 0 over two pages.
  engine::Batch GoodBatch() {
    engine::Batch batch;
    for (int i = 0; i < 23; ++i) batch.ids.push_back((i * 7) % 50);
    batch.chunks.push_back({0, 5, 0, first_pages_});
    batch.chunks.push_back({5, 18, 0, second_pages_});
    batch.logit_rows = {4, 22};
    batch.score_rows = {{0, 7, 0}, {4, 3, 5}, {22, 49, 20}};
    return batch;
  }

  kernels::ThreadPool pool_{2};
  std::vector<int32_t> first_pages_ = {2}, second_pages_ = {0, 1};
  std::unique_ptr<NetworkModel> model_;
};

TEST_F(NetworkModelTest, LogitsAndScoresOfOneRowAgreeToTheBit) {
  const auto result = model_->Step(GoodBatch());
  ASSERT_OK(result);
  ASSERT_EQ(result->logits.size(), 2u * 50);
  ASSERT_EQ(result->log_sum_exp.size(), 2u);
  ASSERT_EQ(result->scores.size(), 3u);
  EXPECT_EQ(result->scores[1].logprob, result->logits[3] - result->log_sum_exp[0]);
  EXPECT_EQ(result->scores[2].logprob, result->logits[50 + 49] - result->log_sum_exp[1]);
  EXPECT_EQ(result->scores[0].top.size(), 0u);
  EXPECT_EQ(result->scores[1].top.size(), 5u);
  EXPECT_EQ(result->scores[2].top.size(), 20u);
}

TEST_F(NetworkModelTest, ResultsDoNotDependOnWhatTheStepBeforeAsked) {
  const auto first = model_->Step(GoodBatch());
  ASSERT_OK(first);
  const std::vector<engine::TokenScore> scores(first->scores.begin(), first->scores.end());
  engine::Batch other = GoodBatch();
  other.logit_rows.clear();
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
  alone.logit_rows = {19};
  alone.score_rows = {{3, 11, 2}, {19, 7, 0}};
  const auto expected = model_->Step(alone);
  ASSERT_OK(expected);
  const std::vector<float> logits(expected->logits.begin(), expected->logits.end());
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
  shared.logit_rows = {20};
  shared.score_rows = {{3, 11, 2}, {3, 40, 0}, {20, 7, 0}};
  const auto result = model_->Step(shared);
  ASSERT_OK(result);
  EXPECT_EQ(std::vector<float>(result->logits.begin(), result->logits.end()), logits);
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
  EXPECT_EQ(result->scores[4 * 50 + 3].logprob, result->logits[3] - result->log_sum_exp[0]);
}

TEST_F(NetworkModelTest, ABatchMayBeEmptyOrAskForNothing) {
  const auto empty = model_->Step({});
  ASSERT_OK(empty);
  EXPECT_TRUE(empty->logits.empty() && empty->scores.empty());
  engine::Batch silent = GoodBatch();
  silent.logit_rows.clear();
  silent.score_rows.clear();
  const auto result = model_->Step(silent);
  ASSERT_OK(result);
  EXPECT_TRUE(result->logits.empty() && result->scores.empty());
}

TEST_F(NetworkModelTest, TellsItsLimitsAndCost) {
  EXPECT_EQ(model_->limits().vocab_size, 50);
  EXPECT_EQ(model_->limits().context_length, 40);
  EXPECT_EQ(model_->limits().max_batch_tokens, 24);
  EXPECT_EQ(model_->limits().max_logit_rows, 8);
  EXPECT_GT(model_->limits().kv_pages, 10);
  EXPECT_EQ(model_->cost().weight_bytes_per_step, 3);
}

TEST_F(NetworkModelTest, BrokenBatchesAreInternalErrorsAndDoNoHarm) {
  const std::vector<std::pair<const char*, std::function<void(engine::Batch&)>>> breaks = {
      {"id is 50", [](engine::Batch& b) { b.ids[3] = 50; }},
      {"id is -1", [](engine::Batch& b) { b.ids[3] = -1; }},
      {"rows is 25", [](engine::Batch& b) { b.ids.resize(25); }},
      {"rows in chunks is 5", [](engine::Batch& b) { b.chunks.pop_back(); }},
      {"first_row is 6", [](engine::Batch& b) { b.chunks[1].first_row = 6; }},
      {"tokens is 0", [](engine::Batch& b) { b.chunks[0].tokens = 0; }},
      {"tokens is 19", [](engine::Batch& b) { b.chunks[1].tokens = 19; }},
      {"end of a chunk is 41", [](engine::Batch& b) { b.chunks[1].first_position = 23; }},
      {"end of a chunk is 4", [](engine::Batch& b) { b.chunks[0].first_position = -1; }},
      {"number of pages is 2", [](engine::Batch& b) { b.chunks[1].first_position = 15; }},
      {"page is -1", [this](engine::Batch&) { second_pages_[1] = -1; }},
      {"page is 1000000", [this](engine::Batch&) { second_pages_[0] = 1000000; }},
      {"logit row is 23", [](engine::Batch& b) { b.logit_rows = {23}; }},
      {"logit row is 4",
       [](engine::Batch& b) {
         b.logit_rows = {4, 4};
       }},
      {"number of logit_rows is 9",
       [](engine::Batch& b) { b.logit_rows = {0, 1, 2, 3, 4, 5, 6, 7, 8}; }},
      {"score row is -1", [](engine::Batch& b) { b.score_rows[0].row = -1; }},
      {"score row is 4", [](engine::Batch& b) { b.score_rows[0].row = 5; }},
      {"target is 7; expected more than 7",
       [](engine::Batch& b) {
         b.score_rows[1] = {0, 7, 1};
       }},
      {"target is 50", [](engine::Batch& b) { b.score_rows[0].target = 50; }},
      {"end of a store is 24",
       [this](engine::Batch& b) {
         b.stores = {{20, 4, 15, second_pages_}};
       }},
      {"end of a store is -1",
       [this](engine::Batch& b) {
         b.stores = {{-2, 1, 0, second_pages_}};
       }},
      {"position in a store is 1; expected 0",
       [this](engine::Batch& b) {
         b.stores = {{5, 2, 1, second_pages_}};
       }},
      {"number of pages is 1",
       [this](engine::Batch& b) {
         b.stores = {{5, 17, 0, first_pages_}};
       }},
      {"top_n is 21", [](engine::Batch& b) { b.score_rows[0].top_n = 21; }},
  };
  for (const auto& [message, damage] : breaks) {
    second_pages_ = {0, 1};
    engine::Batch batch = GoodBatch();
    damage(batch);
    EXPECT_THAT(model_->Step(batch), StatusIs(absl::StatusCode::kInternal, HasSubstr(message)));
  }
  second_pages_ = {0, 1};
  EXPECT_OK(model_->Step(GoodBatch()));
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
