// Every number of a batch that could become a wild write is refused by name.
#include "server/model/check_batch.h"

#include <functional>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

constexpr engine::ModelLimits kLimits = {
    .vocab_size = 50, .context_length = 40, .kv_pages = 16, .max_batch_tokens = 24, .max_draws = 8};

TEST(CheckBatchTest, NamesWhatBreaksTheContract) {
  const std::vector<int32_t> first_pages = {2};
  std::vector<int32_t> second_pages;
  // Two sequences, 5 and 18 tokens, the second one from position 0 over two pages.
  const auto good_batch = [&] {
    second_pages = {0, 1};
    engine::Batch batch;
    for (int i = 0; i < 23; ++i) batch.ids.push_back((i * 7) % 50);
    batch.chunks.push_back({0, 5, 0, first_pages});
    batch.chunks.push_back({5, 18, 0, second_pages});
    batch.stores.push_back({0, 5, 0, second_pages});
    batch.draws = {{.row = 4, .top_n = 20}, {.row = 22, .temperature = 1, .top_n = 20}};
    batch.score_rows = {{0, 7, 0}, {4, 3, 5}, {22, 49, 20}};
    return batch;
  };
  EXPECT_OK(CheckBatch(good_batch(), kLimits));
  EXPECT_OK(CheckBatch({}, kLimits));
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
      {"page is -1", [&](engine::Batch&) { second_pages[1] = -1; }},
      {"page is 1000000", [&](engine::Batch&) { second_pages[0] = 1000000; }},
      {"draw row is 23", [](engine::Batch& b) { b.draws[1].row = 23; }},
      {"draw row is 3", [](engine::Batch& b) { b.draws[1].row = 3; }},
      {"number of draws is 9", [](engine::Batch& b) { b.draws.resize(9); }},
      {"top_n is 21", [](engine::Batch& b) { b.draws[0].top_n = 21; }},
      {"end of a draw's adjustments is 1", [](engine::Batch& b) { b.draws[0].adjustments = 1; }},
      {"adjusted id is 50",
       [](engine::Batch& b) {
         b.adjustments = {{.id = 50}};
         b.draws[0].adjustments = 1;
       }},
      {"adjusted id is 7",
       [](engine::Batch& b) {
         b.adjustments = {{.id = 7}, {.id = 7}};
         b.draws[1].adjustments = 2;
       }},
      {"score row is -1", [](engine::Batch& b) { b.score_rows[0].row = -1; }},
      {"score row is 4", [](engine::Batch& b) { b.score_rows[0].row = 5; }},
      {"target is 6; expected at least 7",
       [](engine::Batch& b) {
         b.score_rows[1] = {0, 6, 1};
       }},
      {"set is 0; expected more than 0",
       [](engine::Batch& b) {
         b.score_rows[1] = {0, 7, 1};
       }},
      {"entries of id_sets is 0; expected 50", [](engine::Batch& b) { b.score_rows[1].set = 1; }},
      {"target is 50", [](engine::Batch& b) { b.score_rows[0].target = 50; }},
      {"end of a store is 24",
       [&](engine::Batch& b) {
         b.stores = {{20, 4, 15, second_pages}};
       }},
      {"end of a store is -1",
       [&](engine::Batch& b) {
         b.stores = {{-2, 1, 0, second_pages}};
       }},
      {"position in a store is 1; expected 0",
       [&](engine::Batch& b) {
         b.stores = {{5, 2, 1, second_pages}};
       }},
      {"number of pages is 1",
       [&](engine::Batch& b) {
         b.stores = {{5, 17, 0, first_pages}};
       }},
      {"top_n is 21", [](engine::Batch& b) { b.score_rows[0].top_n = 21; }},
  };
  for (const auto& [message, damage] : breaks) {
    engine::Batch batch = good_batch();
    damage(batch);
    EXPECT_THAT(CheckBatch(batch, kLimits),
                StatusIs(absl::StatusCode::kInternal, HasSubstr(message)));
  }
}

}  // namespace
}  // namespace dyad
