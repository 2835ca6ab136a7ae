// Plans made by hand: which rows, stores and wishes they become, and where results are found.
#include "server/engine/step_batch.h"

#include <memory>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/counter_random.h"

namespace dyad::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A plan and its sequences. Tokens of a chunk are rows as given; those not shared must follow on.
class Planned {
 public:
  Sequence& Add(int32_t length, int32_t stored, std::vector<int32_t> pages) {
    Request request;
    request.ids.resize(length);
    std::iota(request.ids.begin(), request.ids.end(), 0);
    sequences_.push_back(
        std::make_unique<Sequence>(Submission{std::move(request), nullptr}, absl::UnixEpoch()));
    Sequence& sequence = *sequences_.back();
    sequence.stored = stored;
    sequence.pages = std::move(pages);
    return sequence;
  }

  void Chunk(Sequence& sequence, const std::vector<int32_t>& rows, int32_t shared) {
    const auto tokens = static_cast<int32_t>(rows.size());
    plan.chunks.push_back({&sequence, tokens, shared, static_cast<int32_t>(plan.rows.size())});
    plan.rows.insert(plan.rows.end(), rows.begin(), rows.end());
    plan.tokens += tokens - shared;
  }

  Plan plan;

 private:
  std::vector<std::unique_ptr<Sequence>> sequences_;
};

std::vector<int32_t> Iota(int32_t first, int32_t count) {
  std::vector<int32_t> rows(count);
  std::iota(rows.begin(), rows.end(), first);
  return rows;
}

void ExpectChunk(const Chunk& chunk, int32_t first_row, int32_t tokens, int32_t first_position) {
  EXPECT_EQ(chunk.first_row, first_row);
  EXPECT_EQ(chunk.tokens, tokens);
  EXPECT_EQ(chunk.first_position, first_position);
}

TEST(StepBatchTest, RowsThatAreNotSharedAreChunks) {
  Planned planned;
  planned.Chunk(planned.Add(20, 3, {7, 8}), Iota(0, 15), 0);
  planned.Chunk(planned.Add(5, 0, {9}), {}, 0);  // all was found in the tree
  planned.Chunk(planned.Add(5, 4, {9}), {15}, 0);
  StepBatch step;
  step.Fill(planned.plan);
  const Batch& batch = step.batch();
  ASSERT_THAT(batch.chunks, SizeIs(2));
  ExpectChunk(batch.chunks[0], 0, 15, 3);
  EXPECT_THAT(batch.chunks[0].pages, ElementsAre(7, 8));
  ExpectChunk(batch.chunks[1], 15, 1, 4);
  EXPECT_THAT(batch.ids, SizeIs(16));
  EXPECT_EQ(batch.ids[0], 3);
  EXPECT_EQ(batch.ids[15], 4);
  EXPECT_THAT(batch.stores, IsEmpty());
}

TEST(StepBatchTest, SharedRowsAreStoredInThePageThatIsNotFull) {
  Planned planned;
  planned.Chunk(planned.Add(40, 0, {1, 2, 3}), Iota(0, 40), 0);
  planned.Chunk(planned.Add(40, 0, {1, 2, 4}), Iota(0, 40), 38);
  planned.plan.rows[78] = 40;
  planned.plan.rows[79] = 41;
  StepBatch step;
  step.Fill(planned.plan);
  const Batch& batch = step.batch();
  ASSERT_THAT(batch.stores, SizeIs(1));
  ExpectChunk(batch.stores[0], 32, 6, 32);
  EXPECT_THAT(batch.stores[0].pages, ElementsAre(1, 2, 4));
  ASSERT_THAT(batch.chunks, SizeIs(2));
  ExpectChunk(batch.chunks[1], 40, 2, 38);
}

TEST(StepBatchTest, SharedRowsOfSeveralChunksAreStoredInPieces) {
  Planned planned;
  planned.Chunk(planned.Add(6, 0, {1}), Iota(0, 6), 0);
  planned.Chunk(planned.Add(6, 0, {2}), {0, 1, 2, 6, 7, 8}, 3);
  planned.Chunk(planned.Add(6, 0, {3}), {0, 1, 2, 6, 7, 9}, 5);
  StepBatch step;
  step.Fill(planned.plan);
  const auto& stores = step.batch().stores;
  ASSERT_THAT(stores, SizeIs(3));
  ExpectChunk(stores[0], 0, 3, 0);
  ExpectChunk(stores[1], 0, 3, 0);
  ExpectChunk(stores[2], 6, 2, 3);
  EXPECT_THAT(stores[2].pages, ElementsAre(3));
}

TEST(StepBatchTest, FullPagesNeedNoStoreNorDoTokensBeforeTheChunk) {
  Planned planned;
  planned.Chunk(planned.Add(32, 10, {1, 2}), Iota(0, 22), 0);
  planned.Chunk(planned.Add(32, 0, {1, 2}), Iota(-10, 32), 32);
  std::fill_n(planned.plan.rows.begin() + 22, 10, RowNode::kNoRow);
  planned.Chunk(planned.Add(18, 14, {1, 3}), {4, 5, 6, 22}, 3);  // positions 14 … 17
  StepBatch step;
  step.Fill(planned.plan);
  ASSERT_THAT(step.batch().stores, SizeIs(1));
  ExpectChunk(step.batch().stores[0], 6, 1, 16);
  EXPECT_THAT(step.batch().chunks, SizeIs(2));
}

TEST(StepBatchTest, EqualWishesAreOneAndTheGreediestCountOfCompetitorsHolds) {
  Planned planned;
  for (const int32_t top_n : {0, 5, 2}) {
    Sequence& sequence = planned.Add(4, 0, {top_n});
    sequence.score_begin = top_n == 0 ? 1 : 2;
    sequence.request.top_n = top_n;
    planned.Chunk(sequence, {0, 1, 2}, top_n == 0 ? 0 : 3);
    if (top_n == 5) sequence.ids[3] = 1;  // another target after the same row
  }
  StepBatch step;
  step.Fill(planned.plan);
  const auto& scores = step.batch().score_rows;
  ASSERT_THAT(scores, SizeIs(4));
  const ScoreRow expected[] = {{0, 1, 0}, {1, 2, 5}, {2, 1, 5}, {2, 3, 2}};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(scores[i].row, expected[i].row);
    EXPECT_EQ(scores[i].target, expected[i].target);
    EXPECT_EQ(scores[i].top_n, expected[i].top_n);
    EXPECT_EQ(step.ScoreIndex(expected[i]), i);
  }
}

TEST(StepBatchTest, EachSequenceDrawsForItselfAndDrawsGoUpByRow) {
  Planned planned;
  for (int i = 0; i < 4; ++i) {
    Sequence& sequence = planned.Add(3, 0, {i});
    sequence.request.max_new_tokens = 1;
    sequence.request.sampling.choice = i;
    sequence.request.sampling.top_k = i;
    const std::vector<int32_t> rows[] = {{0, 1, 2}, {0, 3, 4}, {0, 1, 2}, {0, 3, 4}};
    planned.Chunk(sequence, rows[i], i == 0 ? 0 : i == 1 ? 1 : 3);
    EXPECT_TRUE(DrawsToken(planned.plan.chunks.back()));
  }
  StepBatch step;
  step.Fill(planned.plan);
  const auto& draws = step.batch().draws;
  ASSERT_THAT(draws, SizeIs(4));
  const int32_t choices[] = {0, 2, 1, 3};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(draws[i].row, i < 2 ? 2 : 4);
    EXPECT_EQ(draws[i].top_k, choices[i]);
    EXPECT_EQ(draws[i].uniform, RandomAt({0, choices[i], 3}));
    EXPECT_EQ(step.DrawIndex(choices[i]), i);
  }
}

TEST(StepBatchTest, DrawsTakeTheSettingsAndAdjustmentsOfTheirSequences) {
  Planned planned;
  for (int i = 0; i < 3; ++i) {
    Sequence& sequence = planned.Add(3, 2, {i});
    sequence.request.max_new_tokens = i == 1 ? 0 : 1;
    sequence.request.top_n = 4;
    Sampling& sampling = sequence.request.sampling;
    sampling.temperature = 0.5f;
    sampling.top_k = 3;
    sampling.top_p = 0.75f;
    sampling.min_p = 0.25f;
    sampling.presence_penalty = 1;
    sequence.adjustments = Adjustments(sampling, {});
    for (int token = 0; token < i; ++token) sequence.adjustments.Add(token);
    planned.Chunk(sequence, {i}, 0);
  }
  StepBatch step;
  step.Fill(planned.plan);
  const auto& draws = step.batch().draws;
  ASSERT_THAT(draws, SizeIs(2));
  EXPECT_EQ(step.DrawIndex(2), 1u);
  EXPECT_EQ(draws[1].row, 2);
  EXPECT_EQ(draws[1].temperature, 0.5f);
  EXPECT_EQ(draws[1].top_k, 3);
  EXPECT_EQ(draws[1].top_p, 0.75f);
  EXPECT_EQ(draws[1].min_p, 0.25f);
  EXPECT_EQ(draws[1].top_n, 4);
  EXPECT_EQ(draws[0].adjustments, 0);
  EXPECT_EQ(draws[1].first_adjustment, 0);
  EXPECT_EQ(draws[1].adjustments, 2);
  EXPECT_THAT(step.batch().adjustments, ElementsAre(Adjustment{0, 1, 1}, Adjustment{1, 1, 1}));
}

TEST(StepBatchTest, ATokenIsScoredByTheChunkWithTheOneBeforeIt) {
  Planned planned;
  Sequence& sequence = planned.Add(10, 4, {1});
  sequence.score_begin = 3;
  sequence.scores.resize(2);  // of ids 3 and 4
  planned.Chunk(sequence, {0, 1, 2}, 0);
  EXPECT_EQ(ScoredBy(planned.plan.chunks[0]).begin, 5);
  EXPECT_EQ(ScoredBy(planned.plan.chunks[0]).end, 8);
  EXPECT_FALSE(DrawsToken(planned.plan.chunks[0]));
  sequence.stored = 9;
  sequence.scores.resize(7);
  EXPECT_EQ(ScoredBy({&sequence, 1}).begin, ScoredBy({&sequence, 1}).end);
}

}  // namespace
}  // namespace dyad::engine
