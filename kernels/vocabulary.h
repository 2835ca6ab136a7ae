// Reductions over the vocabulary: log-probabilities without a [tokens, vocabulary] tensor.
//
// Bits: log-sum-exp goes over fixed tiles of the vocabulary in order; a row's result does not
// depend on the other rows, on threads, or on which of the two functions below computed it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/linear.h"
#include "kernels/step.h"
#include "kernels/thread_pool.h"

namespace dyad::kernels {

struct TargetScore {
  float logprob = 0;  // logit[target] − log Σ exp(logit)
  int32_t rank = 0;   // 1 + number of ids with a larger logit, or an equal one and a lower id
  std::vector<TopEntry> top;  // descending; ties by lower id
};

struct TargetRow {
  int64_t row = 0;     // of hidden
  int32_t target = 0;  // [0, vocabulary)
  int32_t top_n = 0;   // [0, 20]
};

// Scores `targets[i]` after row targets[i].row of `hidden` through the head (a DenseSpec [vocab,
// hidden]). Shapes: hidden [rows, head.in_features()], scores [targets.size()]. Memory: O(threads ·
// tile); scores[i].top is reused.
void ScoreTargets(const PackedLinear& head, ConstRows hidden, std::span<const TargetRow> targets,
                  std::span<TargetScore> scores, Workspace& workspace);

// log Σ exp over each row of logits [rows, vocabulary], with the bits ScoreTargets uses.
void LogSumExp(ConstRows logits, int64_t rows, int64_t vocabulary, std::span<float> result,
               ThreadPool& pool);

}  // namespace dyad::kernels
