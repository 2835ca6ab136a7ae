// Reductions of one tile of logits: kernels/cpu/score.h.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/score.cc"
#include "kernels/cpu/targets.h"
// Targets first, then the file that compiles this one for each of them.
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include <algorithm>
#include <limits>

#include "kernels/cpu/reduce-inl.h"
#include "kernels/cpu/score.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

TileSum SumTileOnTarget(const float* logits, int64_t count) {
  const int64_t whole = count / kGroup * kGroup;
  float rest[kGroup];  // the last, partial group: -inf adds nothing
  std::fill_n(rest, kGroup, -std::numeric_limits<float>::infinity());
  std::copy(logits + whole, logits + count, rest);

  Group largest = LoadGroup(rest);
  for (int64_t i = 0; i < whole; i += kGroup) MaxInto(largest, LoadGroup(logits + i));
  const float maximum = MaxOf(largest);
  const Vec shift = Set(maximum);
  Group total = ExpMinus(LoadGroup(rest), shift);
  for (int64_t i = 0; i < whole; i += kGroup)
    AddInto(total, ExpMinus(LoadGroup(logits + i), shift));
  return {maximum, SumOf(total)};
}

TileSum SumSetOfTileOnTarget(const float* logits, const uint8_t* id_sets, uint8_t set,
                             int64_t count) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  float of_set[kVocabularyTile];
  for (int64_t i = 0; i < count; ++i) of_set[i] = (id_sets[i] & set) != 0 ? logits[i] : kNone;
  const TileSum sum = SumTileOnTarget(of_set, count);
  return sum.maximum == kNone ? TileSum{kNone, 0} : sum;
}

// Plain loops: the compiler makes vectors of them, and counts have no rounding.
int32_t CountAheadOnTarget(const float* logits, int64_t count, int64_t before, float target) {
  int32_t ahead = 0;
  for (int64_t i = 0; i < before; ++i) ahead += logits[i] >= target ? 1 : 0;
  for (int64_t i = before; i < count; ++i) ahead += logits[i] > target ? 1 : 0;
  return ahead;
}

// Here, because the joins take their multiply-adds from the instruction set.
double JoinTilesOnTarget(const TileSum* tiles, int64_t count, int64_t stride) {
  LogSum total;
  for (int64_t t = 0; t < count; ++t) total.Add(tiles[t * stride]);
  return total.Get();
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dyad::kernels {

HWY_EXPORT(SumTileOnTarget);
HWY_EXPORT(SumSetOfTileOnTarget);
HWY_EXPORT(CountAheadOnTarget);
HWY_EXPORT(JoinTilesOnTarget);

TileSum SumTile(std::span<const float> logits) {
  return HWY_DYNAMIC_DISPATCH(SumTileOnTarget)(logits.data(), static_cast<int64_t>(logits.size()));
}

TileSum SumSetOfTile(std::span<const float> logits, std::span<const uint8_t> id_sets, uint8_t set) {
  return HWY_DYNAMIC_DISPATCH(SumSetOfTileOnTarget)(logits.data(), id_sets.data(), set,
                                                    static_cast<int64_t>(logits.size()));
}

int32_t CountAhead(std::span<const float> logits, int64_t first_id, RankedTarget target) {
  const auto count = static_cast<int64_t>(logits.size());
  const int64_t before = std::clamp<int64_t>(target.id - first_id, 0, count);
  return HWY_DYNAMIC_DISPATCH(CountAheadOnTarget)(logits.data(), count, before, target.logit);
}

double JoinTiles(const TileSum* tiles, int64_t count, int64_t stride) {
  return HWY_DYNAMIC_DISPATCH(JoinTilesOnTarget)(tiles, count, stride);
}

}  // namespace dyad::kernels
#endif  // HWY_ONCE
