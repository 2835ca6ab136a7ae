// Reductions of one tile of logits, and the order in which tiles join.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "kernels/exact_math.h"

namespace dyad::kernels {

// Ids per tile: part of the definition of a log-sum-exp's bits. A multiple of a panel's outputs;
// weights of a tile of a 768-wide head take 0.8 MB, which the second cache keeps while rows pass
// over them.
inline constexpr int64_t kVocabularyTile = 256;

// Σ e^logit over a tile = sum · e^maximum.
struct TileSum {
  float maximum = 0;
  float sum = 0;
};
TileSum SumTile(std::span<const float> logits);  // size in [1, kVocabularyTile]

// Of logits whose ids start at first_id: how many come before the target in rank.
struct RankedTarget {
  float logit = 0;
  int64_t id = 0;
};
int32_t CountAhead(std::span<const float> logits, int64_t first_id, RankedTarget target);

// Joins tiles in the order they are added. In double, so that the order is all that has to be
// fixed.
class LogSum {
 public:
  DYAD_HOST_DEVICE void Add(TileSum tile) {
    const double maximum = tile.maximum;
    if (maximum > maximum_) {
      sum_ = sum_ * exact::ExpDouble(maximum_ - maximum) + static_cast<double>(tile.sum);
      maximum_ = maximum;
    } else {
      sum_ += static_cast<double>(tile.sum) * exact::ExpDouble(maximum - maximum_);
    }
  }
  DYAD_HOST_DEVICE float Get() const {
    return static_cast<float>(maximum_ + exact::LogDouble(sum_));
  }

 private:
  double maximum_ = -HUGE_VAL;
  double sum_ = 0;
};

// log Σ e^logit over a row: LogSum over its tiles, the t-th at tiles[t · stride].
float JoinTiles(const TileSum* tiles, int64_t count, int64_t stride);

}  // namespace dyad::kernels
