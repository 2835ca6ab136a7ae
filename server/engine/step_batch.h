// A plan as the model sees it: rows, where their keys and values go, and what is asked of them; and
// where in the step's result each sequence finds its own.
//
// Sequences that share a row share what is asked of it: logits of a row are computed once, and so
// is the score of a target after a row, with as many competitors as the greediest of them wants.
#pragma once

#include <cstddef>
#include <cstdint>

#include "server/engine/model.h"
#include "server/engine/scheduler.h"

namespace dyad::engine {

// Scored tokens of a sequence that the tokens of its chunk predict: ids[begin…end).
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

  // Where a result stands in StepResult::logits (in rows of it) and ::scores. REQUIRES: it was
  // asked for. Cost: a binary search.
  size_t LogitsIndex(int32_t row) const;
  size_t ScoreIndex(int32_t row, int32_t target) const;

 private:
  void AddStores(const Plan& plan, const PlannedChunk& chunk);
  void MergeWishes();

  Batch batch_;
};

}  // namespace dyad::engine
