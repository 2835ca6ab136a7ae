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

HWY_INLINE IntVec Whole(Vec v) { return hn::ConvertTo(IntTag(), v); }

// Sums of the two parts of weights, lane by lane: exact for a tile, whatever the lanes.
struct WeightSum {
  IntVec high;
  IntVec low;
};
HWY_INLINE WeightSum NoWeight() { return {hn::Zero(IntTag()), hn::Zero(IntTag())}; }
HWY_INLINE void AddWeight(Vec weight, WeightSum& sum) {
  const IntVec part = Whole(hn::Mul(weight, Set(1 / kPart)));
  sum.high = hn::Add(sum.high, part);
  const Vec rest = Fma(hn::ConvertTo(FloatTag(), part), Set(-kPart), weight);
  sum.low = hn::Add(sum.low, Whole(rest));
}
HWY_INLINE uint64_t LanesOf(IntVec v) {
  return static_cast<uint64_t>(hn::GetLane(hn::SumOfLanes(IntTag(), v)));
}
HWY_INLINE uint64_t TotalOf(const WeightSum& sum) {
  return LanesOf(sum.high) * static_cast<uint64_t>(kPart) + LanesOf(sum.low);
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
  float best = hn::GetLane(hn::MaxOfLanes(FloatTag(), largest));
  for (; i < count; ++i) best = std::max(best, Tamed(logits[i]));
  return {best, FirstEqual(logits, count, best)};
}

// Adds a group's weights to their buckets, one by one.
void CountInBuckets(const float* weights, uint64_t* buckets) {
  alignas(64) int32_t bucket[kGroup], low[kGroup];
  for (int64_t i = 0; i < kGroup; i += kLanes) {
    const IntVec bits = hn::BitCast(IntTag(), Load(weights + i));
    const IntVec index = hn::Sub(hn::ShiftRight<WeightBuckets::kLowBits>(bits),
                                 hn::Set(IntTag(), WeightBuckets::kOffset));
    hn::StoreU(hn::Max(index, hn::Zero(IntTag())), IntTag(), bucket + i);
    hn::StoreU(hn::And(bits, hn::Set(IntTag(), (1 << WeightBuckets::kLowBits) - 1)), IntTag(),
               low + i);
  }
  for (int64_t i = 0; i < kGroup; ++i) {
    buckets[bucket[i]] += 1 + (static_cast<uint64_t>(low[i]) << WeightBuckets::kCountBits);
  }
}

void WeighOnTarget(const WeighCall& call) {
  const auto count = static_cast<int64_t>(call.logits.size());
  const Vec largest = Set(call.largest);
  const Vec temperature = Set(call.temperature);
  if (call.buckets != nullptr) std::fill_n(call.buckets, WeightBuckets::kCount, 0);
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
      for (int64_t lane = 0; lane < kGroup; lane += kLanes) {
        const Vec scaled = hn::Div(hn::Sub(TamedVec(Load(logits + lane)), largest), temperature);
        const Vec weight = hn::Floor(hn::Mul(Exp(scaled), Set(kLargestWeight)));
        Store(weight, call.weights + i + lane);
        AddWeight(weight, sum);
      }
      if (call.buckets != nullptr) CountInBuckets(call.weights + i, call.buckets);
    }
    call.tile_sums[first / kVocabularyTile] = TotalOf(sum);
  }
}

int64_t CollectWeightsOnTarget(const float* weights, int64_t count, float low, float high,
                               float* found) {
  int64_t size = 0;
  for (int64_t i = 0; i < count; i += kLanes) {
    const Vec weight = Load(weights + i);
    const auto inside = hn::And(hn::Ge(weight, Set(low)), hn::Lt(weight, Set(high)));
    if (hn::AllFalse(FloatTag(), inside)) continue;
    // The lanes behind those found are garbage, which the next ones overwrite.
    Store(hn::Compress(weight, inside), found + size);
    size += static_cast<int64_t>(hn::CountTrue(FloatTag(), inside));
  }
  return size;
}

AboveEdge SumAboveOnTarget(const float* weights, int64_t count, float edge) {
  WeightSum sum = NoWeight();
  int64_t equal = 0;
  for (int64_t i = 0; i < count; i += kLanes) {
    const Vec weight = Load(weights + i);
    AddWeight(hn::IfThenElseZero(hn::Gt(weight, Set(edge)), weight), sum);
    equal += static_cast<int64_t>(hn::CountTrue(FloatTag(), hn::Eq(weight, Set(edge))));
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

int64_t CollectWeights(std::span<const float> weights, float low, float high, float* found) {
  return HWY_DYNAMIC_DISPATCH(CollectWeightsOnTarget)(
      weights.data(), static_cast<int64_t>(weights.size()), low, high, found);
}

AboveEdge SumAbove(std::span<const float> weights, float edge) {
  return HWY_DYNAMIC_DISPATCH(SumAboveOnTarget)(weights.data(),
                                                static_cast<int64_t>(weights.size()), edge);
}

}  // namespace dyad::kernels
#endif  // HWY_ONCE
