// The loops of a draw over a whole row of logits: kernels/draw.h. Compiled once per target; whole
// numbers and comparisons only, so that no order shows.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "kernels/cpu/score.h"
#include "kernels/draw.h"

namespace dyad::kernels {

// The likeliest of some ids: the first of the largest, tamed logits.
struct Best {
  float logit = 0;
  int64_t index = 0;
};
Best BestOf(std::span<const float> logits);  // not empty

// Turns adjusted logits into weights.
struct WeighCall {
  std::span<const float> logits;
  float largest = 0;  // tamed, above minus infinity
  float inverse_temperature = 1;
  float* weights = nullptr;       // as many, and zeros up to whole groups of kWeightGroup
  uint64_t* tile_sums = nullptr;  // of kVocabularyTile ids each
};
inline constexpr int64_t kWeightGroup = 16;
void Weigh(const WeighCall& call);

// Of some ids.
struct WeightTotal {
  uint64_t ids = 0;
  uint64_t weight = 0;

  friend WeightTotal operator+(WeightTotal a, WeightTotal b) {
    return {a.ids + b.ids, a.weight + b.weight};
  }
};

// A part of the order of weights.
struct WeightRange {
  float low = 1;
  float high = std::numeric_limits<float>::infinity();  // not in the range
};

struct CollectedWeights {
  WeightTotal inside;
  WeightTotal above;
};
// Writes those of `weights` that are inside the range to `found`, in their order, and says what
// they and those above it are together. weights: whole groups; found: room for all, and a group
// more; may be the weights themselves.
CollectedWeights CollectWeights(std::span<const float> weights, WeightRange range, float* found);

// Of `weights`, whole groups and a tile at most: the sum of those above `edge`, and how many are
// equal to it.
struct AboveEdge {
  uint64_t sum = 0;
  int64_t equal = 0;
};
AboveEdge SumAbove(std::span<const float> weights, float edge);

}  // namespace dyad::kernels
