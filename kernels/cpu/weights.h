// The loops of a draw over a whole row of logits: kernels/draw.h. Compiled once per target; whole
// numbers and comparisons only, so that no order shows.
#pragma once

#include <bit>
#include <cstdint>
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

// Weights by size: 64 equal steps from each power of two to the next, so that a bucket is the
// leading bits of a float. Packed in 64 bits: how many weights, and above them the sum of the bits
// that a bucket does not tell. Room for 2^23 ids.
class WeightBuckets {
 public:
  static constexpr int kLowBits = 17;
  static constexpr int kCountBits = 24;
  static constexpr int64_t kCount = (int64_t{39} << (23 - kLowBits)) + 2;

  // Of the bits of a weight; 0, which nobody asks for, if the weight is 0.
  static constexpr int32_t kOffset = (127 << (23 - kLowBits)) - 1;

  static float Lowest(int64_t bucket) {
    return std::bit_cast<float>(static_cast<uint32_t>(bucket + kOffset) << kLowBits);
  }
  static int64_t Ids(uint64_t packed) {
    return static_cast<int64_t>(packed & ((uint64_t{1} << kCountBits) - 1));
  }
  static uint64_t Sum(int64_t bucket, uint64_t packed) {
    constexpr int kSteps = 23 - kLowBits;  // bits of a significand that a bucket tells
    const int64_t power = (bucket - 1) >> kSteps;
    const uint64_t first = (uint64_t{1} << kSteps | (bucket - 1) % (1 << kSteps)) << kLowBits;
    const uint64_t significands =
        static_cast<uint64_t>(Ids(packed)) * first + (packed >> kCountBits);
    // Weights are whole numbers: nothing is shifted out.
    return power < 23 ? significands >> (23 - power) : significands << (power - 23);
  }
};

// Turns adjusted logits into weights.
struct WeighCall {
  std::span<const float> logits;
  float largest = 0;  // tamed, above minus infinity
  float temperature = 1;
  float* weights = nullptr;       // as many, and zeros up to whole groups of kWeightGroup
  uint64_t* tile_sums = nullptr;  // of kVocabularyTile ids each
  uint64_t* buckets = nullptr;    // [WeightBuckets::kCount], set anew; null: not wanted
};
inline constexpr int64_t kWeightGroup = 16;
void Weigh(const WeighCall& call);

// Writes those of `weights` in [low, high) to `found`, in their order; returns how many. `found`
// has room for all, and a group more. weights: whole groups.
int64_t CollectWeights(std::span<const float> weights, float low, float high, float* found);

// Of `weights`, whole groups and a tile at most: the sum of those above `edge`, and how many are
// equal to it.
struct AboveEdge {
  uint64_t sum = 0;
  int64_t equal = 0;
};
AboveEdge SumAbove(std::span<const float> weights, float edge);

}  // namespace dyad::kernels
