// The loops of a draw: kernels/cpu/weights.h.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/weights.cc"
#include "kernels/cpu/targets.h"
// Targets first, then the file that compiles this one for each of them.
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include <algorithm>
#include <limits>

#include "kernels/cpu/reduce-inl.h"
#include "kernels/cpu/weights.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {
namespace {

static_assert(kWeightGroup == kGroup && kVocabularyTile % kGroup == 0);

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr float kPart = 0x1p20f;  // where a weight is cut in two whole numbers of 20 bits

HWY_INLINE Vec TamedVec(Vec logit) {
  const Vec number = hn::IfThenElse(hn::Eq(logit, logit), logit, Set(kMinusInfinity));
  return hn::Min(number, Set(std::numeric_limits<float>::max()));
}

// Weights as floor(weight / 2^20) and what is left of it, summed in 16 lanes. Within a tile a lane
// takes 16 of each, so that no sum is above 2^24: all are exact, in any order.
struct WeightSum {
  Group high, low;
};
HWY_INLINE WeightSum NoWeight() { return {SetGroup(0), SetGroup(0)}; }
// v: of the vectors of a group.
HWY_INLINE void AddWeight(Vec weight, int v, WeightSum& sum) {
  const Vec high = hn::Floor(hn::Mul(weight, Set(1 / kPart)));
  sum.high.part[v] = hn::Add(sum.high.part[v], high);
  sum.low.part[v] = hn::Add(sum.low.part[v], Fma(high, Set(-kPart), weight));
}
HWY_INLINE uint64_t LanesOf(const Group& group) {
  IntVec sum = hn::Zero(IntTag());
#pragma GCC unroll 16
  for (int v = 0; v < kGroupVectors; ++v) {
    sum = hn::Add(sum, hn::ConvertTo(IntTag(), group.part[v]));
  }
  return static_cast<uint64_t>(hn::GetLane(hn::SumOfLanes(IntTag(), sum)));
}
HWY_INLINE uint64_t TotalOf(const WeightSum& sum) {
  return LanesOf(sum.high) * static_cast<uint64_t>(kPart) + LanesOf(sum.low);
}

// WeightOf, with its bits. Exp of kernels/cpu/math-inl.h is shortened: scaled logits below -28, and
// those that are no numbers, weigh nothing, so that nothing needs clamping; and the power of two
// brings 2^39 with it. Logits need not be tamed: only plus infinity is above the largest.
HWY_INLINE Vec WeightsOf(Vec logit, Vec largest, Vec inverse) {
  const Vec scaled = hn::Mul(hn::Sub(logit, largest), inverse);
  const auto counts = hn::Ge(scaled, Set(-28.0f));
  const Vec x = hn::Min(scaled, Zero());
  const Vec round = Set(12582912.0f);
  const Vec shifted = Fma(x, Set(0x1.715476p+0f), round);  // n is in the low bits
  const Vec n = hn::Sub(shifted, round);
  Vec r = Fma(n, Set(-0x1.62e400p-1f), x);
  r = Fma(n, Set(-0x1.7f7d1cp-20f), r);
  Vec p = Set(0x1.6d117cp-10f);
  p = Fma(p, r, Set(0x1.120be2p-7f));
  p = Fma(p, r, Set(0x1.555518p-5f));
  p = Fma(p, r, Set(0x1.5554dcp-3f));
  p = Fma(p, r, Set(0.5f));
  p = Fma(hn::Mul(p, r), r, r);
  p = hn::Add(p, Set(1.0f));
  const IntVec power = hn::Add(hn::ShiftLeft<23>(hn::BitCast(IntTag(), shifted)),
                               hn::Set(IntTag(), (127 + 39) << 23));
  return hn::IfThenElseZero(counts, hn::Floor(hn::Mul(p, hn::BitCast(FloatTag(), power))));
}

}  // namespace

int64_t FirstEqual(const float* logits, int64_t count, float value) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto equal = hn::Eq(TamedVec(Load(logits + i)), Set(value));
    if (!hn::AllFalse(FloatTag(), equal)) return i + hn::FindFirstTrue(FloatTag(), equal);
  }
  while (i < count && Tamed(logits[i]) != value) ++i;
  return i;
}

Best BestOfOnTarget(const float* logits, int64_t count) {
  Vec largest = Set(kMinusInfinity);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) largest = hn::Max(largest, TamedVec(Load(logits + i)));
  float best = FoldVector<Larger>(FloatTag(), largest);
  for (; i < count; ++i) best = std::max(best, Tamed(logits[i]));
  return {best, FirstEqual(logits, count, best)};
}

void WeighOnTarget(const WeighCall& call) {
  const auto count = static_cast<int64_t>(call.logits.size());
  const Vec largest = Set(call.largest);
  const Vec inverse = Set(call.inverse_temperature);
  for (int64_t first = 0; first < count; first += kVocabularyTile) {
    const int64_t last = std::min(first + kVocabularyTile, count);
    WeightSum sum = NoWeight();
    for (int64_t i = first; i < last; i += kGroup) {
      const float* logits = call.logits.data() + i;
      float rest[kGroup];  // the last, partial group
      if (i + kGroup > last) {
        std::fill_n(rest, kGroup, kMinusInfinity);
        std::copy(logits, call.logits.data() + last, rest);
        logits = rest;
      }
#pragma GCC unroll 16
      for (int v = 0; v < kGroupVectors; ++v) {
        const Vec weight = WeightsOf(Load(logits + v * kLanes), largest, inverse);
        Store(weight, call.weights + i + v * kLanes);
        AddWeight(weight, v, sum);
      }
    }
    call.tile_sums[first / kVocabularyTile] = TotalOf(sum);
  }
}

// `found` may be `weights`: what is written lies before what is still to be read.
CollectedWeights CollectWeightsOnTarget(const float* weights, int64_t count, WeightRange range,
                                        float* found) {
  CollectedWeights collected;
  for (int64_t first = 0; first < count; first += kVocabularyTile) {
    const int64_t last = std::min(first + kVocabularyTile, count);
    WeightSum inside = NoWeight(), above = NoWeight();
    for (int64_t i = first; i < last; i += kGroup) {
#pragma GCC unroll 16
      for (int v = 0; v < kGroupVectors; ++v) {
        const Vec weight = Load(weights + i + v * kLanes);
        const auto is_above = hn::Ge(weight, Set(range.high));
        if (!hn::AllFalse(FloatTag(), is_above)) {
          AddWeight(hn::IfThenElseZero(is_above, weight), v, above);
          collected.above.ids += hn::CountTrue(FloatTag(), is_above);
        }
        const auto is_inside = hn::AndNot(is_above, hn::Ge(weight, Set(range.low)));
        if (!hn::AllFalse(FloatTag(), is_inside)) {
          AddWeight(hn::IfThenElseZero(is_inside, weight), v, inside);
          // The lanes behind those found are garbage, which the next ones overwrite.
          Store(hn::Compress(weight, is_inside), found + collected.inside.ids);
          collected.inside.ids += hn::CountTrue(FloatTag(), is_inside);
        }
      }
    }
    collected.inside.weight += TotalOf(inside);
    collected.above.weight += TotalOf(above);
  }
  return collected;
}

AboveEdge SumAboveOnTarget(const float* weights, int64_t count, float edge) {
  WeightSum sum = NoWeight();
  int64_t equal = 0;
  for (int64_t i = 0; i < count; i += kGroup) {
#pragma GCC unroll 16
    for (int v = 0; v < kGroupVectors; ++v) {
      const Vec weight = Load(weights + i + v * kLanes);
      AddWeight(hn::IfThenElseZero(hn::Gt(weight, Set(edge)), weight), v, sum);
      equal += static_cast<int64_t>(hn::CountTrue(FloatTag(), hn::Eq(weight, Set(edge))));
    }
  }
  return {TotalOf(sum), equal};
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dyad::kernels {

HWY_EXPORT(BestOfOnTarget);
HWY_EXPORT(WeighOnTarget);
HWY_EXPORT(CollectWeightsOnTarget);
HWY_EXPORT(SumAboveOnTarget);

Best BestOf(std::span<const float> logits) {
  return HWY_DYNAMIC_DISPATCH(BestOfOnTarget)(logits.data(), static_cast<int64_t>(logits.size()));
}

void Weigh(const WeighCall& call) { HWY_DYNAMIC_DISPATCH(WeighOnTarget)(call); }

CollectedWeights CollectWeights(std::span<const float> weights, WeightRange range, float* found) {
  return HWY_DYNAMIC_DISPATCH(CollectWeightsOnTarget)(
      weights.data(), static_cast<int64_t>(weights.size()), range, found);
}

AboveEdge SumAbove(std::span<const float> weights, float edge) {
  return HWY_DYNAMIC_DISPATCH(SumAboveOnTarget)(weights.data(),
                                                static_cast<int64_t>(weights.size()), edge);
}

}  // namespace dyad::kernels
#endif  // HWY_ONCE
