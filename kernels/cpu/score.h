// Reductions of one tile of logits (kernels/log_sum.h).
#pragma once

#include <cstdint>
#include <span>

#include "kernels/log_sum.h"

namespace dyad::kernels {

TileSum SumTile(std::span<const float> logits);  // size in [1, kVocabularyTile]

// The same over the ids of a set: those whose `id_sets` have a bit of `set`. Sizes are equal.
TileSum SumSetOfTile(std::span<const float> logits, std::span<const uint8_t> id_sets, uint8_t set);

// Of logits whose ids start at first_id: how many come before the target in rank.
struct RankedTarget {
  float logit = 0;
  int64_t id = 0;
};
int32_t CountAhead(std::span<const float> logits, int64_t first_id, RankedTarget target);

// log Σ e^logit over a row: LogSum over its tiles, the t-th at tiles[t · stride].
double JoinTiles(const TileSum* tiles, int64_t count, int64_t stride);

}  // namespace dyad::kernels
