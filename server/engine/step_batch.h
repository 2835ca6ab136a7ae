// A plan as the model sees it: rows, where their keys and values go, and what is asked of them; and
// where in the step's result each sequence finds its own.
//
// Sequences that share a row share the score of a target after it (with the same set), and as many
// competitors as the greediest of them wants. Each draws a token of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "server/engine/model.h"
#include "server/engine/scheduler.h"

namespace dyad::engine {

// Scored places of a sequence that the tokens of its chunk predict: [begin, end).
struct ScoredRange {
  int32_t begin = 0;
  int32_t end = 0;  // >= begin
};
ScoredRange ScoredBy(const PlannedChunk& chunk);

// Whether the last token of the chunk is the one after which a token is drawn.
bool DrawsToken(const PlannedChunk& chunk);

// Threads: the engine's only. Memory is kept from step to step.
class StepBatch {
 public:
  void Fill(const Plan& plan);

  // Its spans are those of the sequences in the plan.
  const Batch& batch() const { return batch_; }

  // Where a result stands in StepResult::scores and ::drawn, the latter of the plan's chunk of this
  // number. REQUIRES: it was asked for. Cost: a binary search; none.
  size_t ScoreIndex(const ScoreRow& asked) const;
  size_t DrawIndex(size_t chunk) const { return draw_of_chunk_[chunk]; }

 private:
  void AddStores(const Plan& plan, const PlannedChunk& chunk);
  void AddDraws(const Plan& plan);
  void MergeScores();

  Batch batch_;
  std::vector<size_t> drawing_;  // numbers of the chunks that draw, ascending by row
  std::vector<size_t> draw_of_chunk_;
};

}  // namespace dyad::engine
