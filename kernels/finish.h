// The end of a step: rows of hidden states through the head, to scores of targets and drawn ids.
//
// One pass over the head serves all rows, tile by tile; a [rows, vocabulary] tensor exists only for
// rows whose draw is not greedy.
//
// Bits: log-sum-exp goes over fixed tiles of the vocabulary in order; a row's result does not
// depend on the other rows, on what else is asked of it, or on threads.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/draw.h"
#include "kernels/linear.h"
#include "kernels/thread_pool.h"

namespace dyad::kernels {

// Asks for the log-probability of `target` after a row.
struct ScoreRow {
  int32_t row = 0;     // of hidden
  int32_t target = 0;  // [0, vocabulary)
  int32_t top_n = 0;   // best ids to report, [0, 20]
};

// What is asked of the rows of a step.
struct Wishes {
  std::span<const ScoreRow> scores;         // ascending by row
  std::span<const DrawRow> draws;           // ascending by row
  std::span<const Adjustment> adjustments;  // of the draws
};

struct Score {
  float logprob = 0;  // logit[target] − log Σ exp(logit)
  int32_t rank = 0;   // 1 + number of ids with a larger logit, or an equal one and a lower id
};

struct Drawn {
  int32_t id = 0;
  float logprob = 0;  // as of a score: before adjustments and temperature
};

struct TopEntry {
  int32_t id = 0;
  float logprob = 0;
};

// Where the answers go.
struct Answers {
  std::span<Score> scores;  // [scores]
  std::span<Drawn> drawn;   // [draws]
  // The top_n best of each wish, scores before draws: descending, ties by lower id. Places past the
  // end of the vocabulary have id -1.
  std::span<TopEntry> top;
};

// Rows of logits that Finish needs room for.
int64_t SampledRows(std::span<const DrawRow> draws);

// Shapes: head is a DenseSpec [vocabulary, hidden], vocabulary at most 2^23; hidden [rows,
// head.in_features()]; logits [SampledRows(draws), vocabulary], undefined afterwards.
void Finish(const PackedLinear& head, ConstRows hidden, const Wishes& wishes,
            std::span<float> logits, const Answers& answers, Workspace& workspace);

}  // namespace dyad::kernels
