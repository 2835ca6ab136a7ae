// Filters by selection: weights are counted in buckets by size, and only the bucket in which a
// filter's edge lies is looked at more closely.
#include "kernels/cpu/draw.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/cpu/weights.h"

namespace dyad::kernels {
namespace {

// Where the ids that stay end in the order: those of more weight than `weight` stay, and of those
// of just this weight the lowest `equal` ids.
struct Edge {
  float weight = 0;
  int64_t equal = 0;
};

// Of some ids.
struct Total {
  uint64_t ids = 0;
  uint64_t weight = 0;

  friend Total operator+(Total a, Total b) { return {a.ids + b.ids, a.weight + b.weight}; }
};
using Measure = uint64_t Total::*;

class WeightOrder {
 public:
  // `found`: room for all weights, and a group more.
  WeightOrder(std::span<const float> weights, std::span<const uint64_t> buckets, float* found)
      : weights_(weights), buckets_(buckets), found_(found) {}

  // The first ids of the order, as few as reach `wanted`, but at least one; if all do not reach it,
  // all. Their total goes to total().
  Edge Reach(Measure measure, uint64_t wanted);

  Total total() const { return total_; }

 private:
  Total TotalOf(int64_t bucket) const {
    const uint64_t packed = buckets_[static_cast<size_t>(bucket)];
    return {static_cast<uint64_t>(WeightBuckets::Ids(packed)), WeightBuckets::Sum(bucket, packed)};
  }

  std::span<const float> weights_;
  std::span<const uint64_t> buckets_;
  float* found_;
  Total total_;
};

Edge WeightOrder::Reach(Measure measure, uint64_t wanted) {
  wanted = std::max<uint64_t>(wanted, 1);
  Total above;
  int64_t bucket = WeightBuckets::kCount - 1;
  for (; bucket > 0; --bucket) {
    if (buckets_[static_cast<size_t>(bucket)] == 0) continue;
    const Total with = above + TotalOf(bucket);
    if (with.*measure >= wanted) break;
    above = with;
  }
  total_ = above;
  if (bucket == 0) return {};
  const std::span<float> found(
      found_, static_cast<size_t>(CollectWeights(weights_, WeightBuckets::Lowest(bucket),
                                                 WeightBuckets::Lowest(bucket + 1), found_)));
  // The bits that the bucket does not tell, in two steps; those of another digit fall away.
  size_t left = found.size();
  for (const int shift : {WeightBuckets::kLowBits / 2, 0}) {
    constexpr uint32_t kDigits = 1 << (WeightBuckets::kLowBits + 1) / 2;
    const auto digit_of = [&](float weight) {
      const uint32_t low = std::bit_cast<uint32_t>(weight) % (1 << WeightBuckets::kLowBits);
      return (low >> shift) % (shift == 0 ? 1 << WeightBuckets::kLowBits / 2 : kDigits);
    };
    std::array<Total, kDigits> totals = {};
    for (const float weight : found.first(left)) {
      Total& total = totals[digit_of(weight)];
      total = total + Total{1, static_cast<uint64_t>(weight)};
    }
    uint32_t digit = kDigits - 1;
    for (; (above + totals[digit]).*measure < wanted; --digit) above = above + totals[digit];
    const auto end = std::remove_if(found.begin(), found.begin() + static_cast<int64_t>(left),
                                    [&](float weight) { return digit_of(weight) != digit; });
    left = static_cast<size_t>(end - found.begin());
  }
  // Those that are left weigh the same.
  const auto weight = static_cast<uint64_t>(found[0]);
  const uint64_t each = Total{1, weight}.*measure;
  const uint64_t equal = (wanted - above.*measure + each - 1) / each;
  total_ = above + Total{equal, equal * weight};
  return {found[0], static_cast<int64_t>(equal)};
}

// Weights tile by tile, less those that an edge leaves out.
class KeptWeights {
 public:
  KeptWeights(std::span<const float> weights, std::span<uint64_t> tile_sums)
      : weights_(weights), tile_sums_(tile_sums) {}

  uint64_t Sum() const {
    return std::accumulate(tile_sums_.begin(), tile_sums_.end(), uint64_t{0});
  }
  void Cut(const Edge& edge);
  int32_t Draw(uint64_t uniform) const;

 private:
  std::span<const float> Tile(size_t tile) const {
    const size_t first = tile * kVocabularyTile;
    return weights_.subspan(first, std::min<size_t>(kVocabularyTile, weights_.size() - first));
  }

  std::span<const float> weights_;  // whole groups
  std::span<uint64_t> tile_sums_;
  float edge_ = 0;
  size_t last_equal_ = 0;  // ids of the edge's weight stay before this one
};

void KeptWeights::Cut(const Edge& edge) {
  edge_ = edge.weight;
  int64_t left = edge.equal;
  last_equal_ = weights_.size();
  for (size_t tile = 0; tile < tile_sums_.size(); ++tile) {
    const AboveEdge here = SumAbove(Tile(tile), edge_);
    const int64_t equal = std::min(left, here.equal);
    tile_sums_[tile] = here.sum + static_cast<uint64_t>(equal) * static_cast<uint64_t>(edge_);
    if (left > 0 && equal == left) {
      last_equal_ = tile * kVocabularyTile;
      for (int64_t seen = 0; seen < left; ++last_equal_) seen += weights_[last_equal_] == edge_;
    }
    left -= equal;
  }
}

int32_t KeptWeights::Draw(uint64_t uniform) const {
  uint64_t left = MultiplyHigh(uniform, Sum());
  size_t tile = 0;
  for (; left >= tile_sums_[tile]; ++tile) left -= tile_sums_[tile];
  size_t id = tile * kVocabularyTile;
  for (;; ++id) {
    const float weight = weights_[id];
    if (weight < edge_ || (weight == edge_ && id >= last_equal_)) continue;
    if (left < static_cast<uint64_t>(weight)) return static_cast<int32_t>(id);
    left -= static_cast<uint64_t>(weight);
  }
}

template <typename T>
std::span<T> Room(Scratch& scratch, ScratchUse use, int64_t count) {
  return {scratch.Get<T>(use, count), static_cast<size_t>(count)};
}

}  // namespace

int32_t DrawFrom(std::span<const float> adjusted, float largest, const DrawRow& draw,
                 Scratch& scratch) {
  if (std::isinf(largest)) return 0;
  const auto ids = static_cast<int64_t>(adjusted.size());
  const int64_t padded = (ids + kWeightGroup - 1) / kWeightGroup * kWeightGroup;
  const int64_t tiles = (ids + kVocabularyTile - 1) / kVocabularyTile;
  const std::span<float> weights = Room<float>(scratch, ScratchUse::kWeights, padded);
  const std::span<uint64_t> tile_sums = Room<uint64_t>(scratch, ScratchUse::kSums, tiles);
  const std::span<uint64_t> buckets =
      Room<uint64_t>(scratch, ScratchUse::kBuckets, WeightBuckets::kCount);
  const bool selects = draw.top_k > 0 || draw.top_p < 1;
  Weigh({.logits = adjusted,
         .largest = largest,
         .temperature = draw.temperature,
         .weights = weights.data(),
         .tile_sums = tile_sums.data(),
         .buckets = selects ? buckets.data() : nullptr});

  KeptWeights kept(weights, tile_sums);
  Edge edge;
  if (selects) {
    WeightOrder order(weights, buckets,
                      scratch.Get<float>(ScratchUse::kPartials, padded + kWeightGroup));
    uint64_t sum = kept.Sum();
    if (draw.top_k > 0) {
      edge = order.Reach(&Total::ids, static_cast<uint64_t>(draw.top_k));
      sum = order.total().weight;
    }
    if (draw.top_p < 1) edge = order.Reach(&Total::weight, WantedWeight(draw.top_p, sum));
  }
  const float least = LeastWeight(draw.min_p);
  if (draw.min_p > 0 && least > edge.weight) edge = {least, std::numeric_limits<int64_t>::max()};
  if (edge.weight > 0) kept.Cut(edge);
  return kept.Draw(draw.uniform);
}

}  // namespace dyad::kernels
