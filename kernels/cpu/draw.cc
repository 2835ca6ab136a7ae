// Filters by selection: a few weights, sorted, say about where a filter's edge lies; one pass
// counts what is above and collects what is there, and only that is looked at more closely.
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
  float weight = 0;  // 0: all stay
  int64_t equal = 0;
  uint64_t sum = 0;  // of those that stay
};

using Measure = uint64_t WeightTotal::*;

// Weights that follow each other in the order, though here they stand by id, and the total of all
// that come before them.
struct Stretch {
  std::span<const float> weights;  // whole groups; those past `inside` are zeros
  WeightTotal inside, above;
};

// Looks for the edge after the first ids that reach `wanted`: as few as do, but at least one.
class EdgeSearch {
 public:
  // `found`: room for all weights, and a group more.
  EdgeSearch(std::span<const float> weights, uint64_t sum, float* found)
      : all_{weights, {weights.size(), sum}, {}}, found_(found) {}

  // `known`: a range in which the edge lies, if it is not among all.
  Edge Find(Measure measure, uint64_t wanted, WeightRange known);

 private:
  static constexpr size_t kSamples = 256;
  static constexpr size_t kMany = 8 * kSamples;  // with fewer, a guess is not worth its time

  bool Holds(const Stretch& stretch) const {
    return stretch.above.*measure_ < wanted_ &&
           (stretch.above + stretch.inside).*measure_ >= wanted_;
  }
  Stretch PartOf(const Stretch& stretch, WeightRange range);
  WeightRange Guess(const Stretch& stretch) const;
  Edge FindAmong(std::span<float> few, WeightTotal above) const;

  const Stretch all_;
  float* const found_;
  Measure measure_ = nullptr;
  uint64_t wanted_ = 0;
};

// Written to found_, where the stretch may stand.
Stretch EdgeSearch::PartOf(const Stretch& stretch, WeightRange range) {
  const CollectedWeights collected = CollectWeights(stretch.weights, range, found_);
  const uint64_t groups = (collected.inside.ids + kWeightGroup - 1) / kWeightGroup;
  std::fill(found_ + collected.inside.ids, found_ + groups * kWeightGroup, 0.0f);
  return {{found_, groups * kWeightGroup}, collected.inside, stretch.above + collected.above};
}

// About where the edge lies, from samples at even distances: three standard deviations and a few
// samples to both sides of its place among them.
WeightRange EdgeSearch::Guess(const Stretch& stretch) const {
  std::array<float, kSamples> samples;  // descending
  for (size_t i = 0; i < kSamples; ++i) {
    samples[i] = stretch.weights[i * stretch.weights.size() / kSamples];
  }
  std::ranges::sort(samples, std::greater<>());
  const double each = static_cast<double>(stretch.weights.size()) / kSamples;
  double place = 0;
  if (measure_ == &WeightTotal::ids) {
    place = std::min<double>(static_cast<double>(wanted_ - stretch.above.ids) / each, kSamples);
  } else {
    // From the small weights up: they are many and alike, while one large weight may hold most of
    // the sum and not be among the samples.
    auto left_out = static_cast<double>(stretch.above.weight + stretch.inside.weight) -
                    static_cast<double>(wanted_);
    for (place = kSamples; place > 0 && left_out > 0; --place) {
      left_out -= each * static_cast<double>(samples[static_cast<size_t>(place) - 1]);
    }
  }
  const double margin = 3 * std::sqrt(place * (kSamples - place) / kSamples) + 6;
  WeightRange range;
  if (place + margin < kSamples) {
    range.low = std::max(range.low, samples[static_cast<size_t>(place + margin)]);
  }
  if (place - margin >= 0) {
    range.high = std::nextafter(samples[static_cast<size_t>(place - margin)], range.high);
  }
  return range;
}

Edge EdgeSearch::Find(Measure measure, uint64_t wanted, WeightRange known) {
  measure_ = measure;
  wanted_ = std::max<uint64_t>(wanted, 1);
  Stretch stretch = known.low > 1 ? PartOf(all_, known) : all_;
  while (stretch.weights.size() >= kMany) {
    const size_t before = stretch.weights.size();
    stretch = PartOf(stretch, Guess(stretch));
    if (Holds(stretch) && stretch.weights.size() < before / 2) continue;
    // A wrong guess, or more equal weights than guessing can part.
    if (!Holds(stretch)) stretch = PartOf(all_, {});
    break;
  }
  if (stretch.weights.data() != found_) stretch = PartOf(stretch, {});
  if (!Holds(stretch)) return {.sum = all_.inside.weight};
  return FindAmong({found_, stretch.inside.ids}, stretch.above);
}

// Digit by digit of their bits, the high ones first; those of another digit fall away.
Edge EdgeSearch::FindAmong(std::span<float> few, WeightTotal above) const {
  constexpr int kDigitBits = 9;
  const auto [least, most] = std::ranges::minmax(few);
  auto base = std::bit_cast<uint32_t>(least);
  int shift = static_cast<int>(std::bit_width(std::bit_cast<uint32_t>(most) - base));
  while (shift > 0) {
    shift = std::max(0, shift - kDigitBits);
    const auto digit_of = [&](float weight) {
      return (std::bit_cast<uint32_t>(weight) - base) >> shift;
    };
    std::array<WeightTotal, 1 << kDigitBits> totals = {};
    for (const float weight : few) {
      WeightTotal& total = totals[digit_of(weight)];
      total = total + WeightTotal{1, static_cast<uint64_t>(weight)};
    }
    uint32_t digit = (1 << kDigitBits) - 1;
    for (; (above + totals[digit]).*measure_ < wanted_; --digit) above = above + totals[digit];
    const auto end = std::remove_if(few.begin(), few.end(),
                                    [&](float weight) { return digit_of(weight) != digit; });
    few = few.first(end - few.begin());
    base += digit << shift;
  }
  // Those that are left weigh the same.
  const auto weight = static_cast<uint64_t>(few[0]);
  const uint64_t each = WeightTotal{1, weight}.*measure_;
  const uint64_t equal = (wanted_ - above.*measure_ + each - 1) / each;
  return {few[0], static_cast<int64_t>(equal), above.weight + equal * weight};
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
  Weigh({.logits = adjusted,
         .largest = largest,
         .inverse_temperature = InverseOf(draw.temperature),
         .weights = weights.data(),
         .tile_sums = tile_sums.data()});

  KeptWeights kept(weights, tile_sums);
  EdgeSearch search(weights, kept.Sum(),
                    scratch.Get<float>(ScratchUse::kPartials, padded + kWeightGroup));
  Edge edge = {.sum = kept.Sum()};
  if (draw.top_k > 0) {
    edge = search.Find(&WeightTotal::ids, static_cast<uint64_t>(draw.top_k), {});
  }
  if (draw.top_p < 1) {
    edge = search.Find(&WeightTotal::weight, WantedWeight(draw.top_p, edge.sum),
                       {.low = std::max(edge.weight, 1.0f)});
  }
  const float least = LeastWeight(draw.min_p);
  if (draw.min_p > 0 && least > edge.weight)
    edge = {.weight = least, .equal = std::numeric_limits<int64_t>::max()};
  if (edge.weight > 0) kept.Cut(edge);
  return kept.Draw(draw.uniform);
}

}  // namespace dyad::kernels
