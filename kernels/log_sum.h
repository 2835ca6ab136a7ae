// The sum over a vocabulary by fixed tiles of ids: what makes a log-sum-exp the same on every
// device.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/exact_math.h"

namespace dyad::kernels {

// Ids per tile: part of the definition of a log-sum-exp's bits. A multiple of a panel's outputs;
// weights of a tile of a 768-wide head take 0.8 MB, which the second cache keeps while rows pass
// over them.
inline constexpr int64_t kVocabularyTile = 256;

// Σ e^logit over a tile = sum · e^maximum. Of no ids: −∞ and 0.
struct TileSum {
  float maximum = 0;
  float sum = 0;
};

// What a tile does to the sum so far: sum · scale + added.
struct LogSumLink {
  double scale = 1;
  double added = 0;
};
// `so_far`: the largest maximum of the tiles before.
DYAD_HOST_DEVICE LogSumLink LinkOf(double so_far, TileSum tile) {
  const double maximum = tile.maximum, sum = tile.sum;
  if (sum == 0) return {};
  if (maximum > so_far) return {exact::ExpDouble(so_far - maximum), sum};
  return {1.0, sum * exact::ExpDouble(maximum - so_far)};
}

// Joins tiles in the order they are added. In double, so that the order is all that has to be
// fixed.
class LogSum {
 public:
  DYAD_HOST_DEVICE void Add(TileSum tile) {
    const LogSumLink link = LinkOf(maximum_, tile);
    sum_ = sum_ * link.scale + link.added;
    if (tile.maximum > maximum_) maximum_ = tile.maximum;
  }
  DYAD_HOST_DEVICE double Get() const {
    return sum_ == 0 ? -HUGE_VAL : maximum_ + exact::LogDouble(sum_);
  }

 private:
  double maximum_ = -HUGE_VAL;
  double sum_ = 0;
};

}  // namespace dyad::kernels
