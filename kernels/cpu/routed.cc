// kernels/cpu/routed.h. What Route computes is defined by kernels/reference/route.cc.
#include "kernels/cpu/routed.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/exact_math.h"

namespace dyad::kernels {
namespace {

// Below this many multiply-adds the calling thread is done before another has woken up.
constexpr int64_t kWorthSharing = 1 << 17;

// No number is the least.
float Ordered(float logit) {
  return std::isnan(logit) ? -std::numeric_limits<float>::infinity() : logit;
}

// One row's choice.
struct RowChoice {
  std::span<float> weights;   // [items]; 0 where not chosen
  std::span<uint8_t> chosen;  // [items]; 1 where chosen
  std::span<float> room;      // [items]
};

float SumInLanes(std::span<const float> values) {
  std::array<float, 16> lanes = {};
  for (size_t i = 0; i < values.size(); ++i) lanes[i % 16] += values[i];
  for (size_t half = 8; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

// Whether it could be made.
bool ChooseForRow(const Route& route, const float* logits, const RowChoice& row) {
  const size_t items = row.weights.size();
  float largest = Ordered(logits[0]);
  for (size_t i = 0; i < items; ++i) {
    row.room[i] = Ordered(logits[i]);
    largest = std::max(largest, row.room[i]);
  }
  const auto last = row.room.begin() + (route.keep - 1);
  std::nth_element(row.room.begin(), last, row.room.end(), std::greater<>());
  const float least = *last;
  const bool share = route.rule == Rule::kShare;
  // Of those that are equal to the least, the first ones fill what is left.
  int64_t equal = route.keep -
                  std::count_if(row.room.begin(), last, [&](float logit) { return logit > least; });
  for (size_t i = 0; i < items; ++i) {
    const float logit = Ordered(logits[i]);
    const bool chosen = logit > least || (logit == least && (share || equal-- > 0));
    row.chosen[i] = chosen ? 1 : 0;
    row.weights[i] = !chosen ? 0.0f : share ? logits[i] : exact::Exp(logits[i] - largest);
  }
  const float sum = SumInLanes(row.weights);
  if (share && (sum == 0 || !std::isfinite(sum))) {
    std::fill(row.chosen.begin(), row.chosen.end(), uint8_t{0});
    return false;
  }
  const float divisor = share ? sum / static_cast<float>(items) : sum;
  for (size_t i = 0; i < items; ++i) {
    if (row.chosen[i] == 0) continue;
    row.weights[i] /= divisor;
    if (route.rule == Rule::kSoftmaxPlus) row.weights[i] += 1e-6f;
  }
  return true;
}

// Features of the source that some blocks read.
struct FeatureRange {
  int64_t first, last;
};
FeatureRange FeaturesOf(const PackedContraction& contraction, BlockRange blocks) {
  FeatureRange range = {contraction.source_width, 0};
  for (const View& view : contraction.sources) {
    range.first = std::min(range.first, view.At(blocks.first, 0, 0));
    range.last =
        std::max(range.last, 1 + view.At(blocks.first + blocks.count - 1, contraction.groups - 1,
                                         contraction.term_depth - 1));
  }
  range.last = std::min(range.last, contraction.source_width);
  return {std::min(range.first, range.last), range.last};
}

// Rows of x that chose an item, one below the other; features outside the range are not there.
ConstRows Gather(ConstRows x, std::span<const int32_t> rows, FeatureRange features,
                 Scratch& scratch) {
  const int64_t width = features.last - features.first;
  // One row is where it is; where no feature is read, any row does.
  if (rows.size() == 1 || width == 0) return {x.data + rows[0] * x.stride, x.stride};
  auto* to = scratch.Get<float>(ScratchUse::kGathered, std::ssize(rows) * width);
  const float* const data = to - features.first;
  for (const int32_t row : rows) {
    to = std::copy_n(x.data + row * x.stride + features.first, width, to);
  }
  return {data, width};
}

// Blocks that are packed together, and so run in one task: those of one item.
BlockRange UnitAt(const PackedRouted& step, int64_t index) {
  const int64_t count = step.routed.item_block == 0 ? step.contraction.blocks_together() : 1;
  return {index * count, count};
}

std::span<const int32_t> RowsOf(const ItemRows& items, int64_t item) {
  return {items.rows + items.first[item], static_cast<size_t>(items.count(item))};
}

void RunUnit(const RoutedJob& job, BlockRange unit, int64_t part, int64_t parts, ConstRows x,
             Scratch& scratch) {
  const PackedContraction& contraction = job.step->contraction;
  const int64_t item = job.step->routed.item + unit.first * job.step->routed.item_block;
  const std::span<const int32_t> rows = RowsOf(job.items, item);
  if (rows.empty()) return;
  const int64_t together = contraction.blocks_together();
  const BlockRange packed_blocks = {unit.first / together * together, together};
  if (x.data == nullptr) x = Gather(job.x, rows, FeaturesOf(contraction, packed_blocks), scratch);
  const auto tokens = static_cast<int64_t>(rows.size());
  const int64_t row_count = tokens * contraction.groups;
  auto* packed =
      scratch.Get<float>(ScratchUse::kRows, row_count * packed_blocks.count * contraction.depth());
  for (int64_t i = 0; i < RowTileCount(row_count); ++i) {
    PackRowTile(contraction, packed_blocks, x, RowTileAt(row_count, i), packed);
  }
  ContractionJob of_item;
  of_item.contraction = &contraction;
  of_item.rows = {packed, packed_blocks};
  of_item.tokens = tokens;
  of_item.y = job.y;
  of_item.bias = contraction.bias.empty() ? nullptr : contraction.bias.data();
  of_item.row_of = rows.data();
  if (job.step->routed.scaled) of_item.weights = job.items.weights + job.items.first[item];
  const int64_t per_block = contraction.bundles() / contraction.blocks;
  const int64_t bundles = unit.count * per_block, first = unit.first * per_block;
  const int64_t begin = first + part * bundles / parts, end = first + (part + 1) * bundles / parts;
  if (begin == end) return;
  ContractPanels(of_item, {contraction.BundleAt(begin).first, contraction.BundleAt(end - 1).last},
                 scratch);
}

}  // namespace

int64_t ItemRowsBytes(int64_t tokens, int64_t items) {
  return (items + 1 + 2 * tokens * items) * 4;
}

ItemRows ChooseItems(const Route& route, int64_t items, int64_t tokens, ConstRows logits,
                     std::byte* memory, Workspace& workspace) {
  const int64_t all = tokens * items;
  auto* weights =
      workspace.scratch.Get<float>(ScratchUse::kChoices, 2 * all + tokens + all / 4 + 1);
  float* room = weights + all;
  auto* failed = reinterpret_cast<uint8_t*>(room + all);
  auto* chosen = failed + tokens;
  workspace.pool.Run(tokens, [&](int64_t t) {
    const auto width = static_cast<size_t>(items);
    const RowChoice row = {
        {weights + t * items, width}, {chosen + t * items, width}, {room + t * items, width}};
    failed[t] = ChooseForRow(route, logits.data + t * logits.stride, row) ? 0 : 1;
  });
  for (int64_t t = 0; t < tokens; ++t) {
    if (failed[t] != 0) workspace.failed_rows.push_back(t);
  }
  auto* first = reinterpret_cast<int32_t*>(memory);
  int32_t* rows = first + items + 1;
  auto* of_rows = reinterpret_cast<float*>(rows + all);
  int32_t count = 0;
  for (int64_t i = 0; i < items; ++i) {
    first[i] = count;
    for (int64_t t = 0; t < tokens; ++t) {
      if (chosen[t * items + i] == 0) continue;
      rows[count] = static_cast<int32_t>(t);
      of_rows[count++] = weights[t * items + i];
    }
  }
  first[items] = count;
  return {first, rows, of_rows};
}

void RunRouted(const RoutedJob& job, Workspace& workspace) {
  const PackedRouted& step = *job.step;
  const PackedContraction& contraction = step.contraction;
  const int64_t units = contraction.blocks / UnitAt(step, 0).count;
  int64_t rows = 0;
  for (int64_t i = 0; i < units; ++i) {
    rows += job.items.count(step.routed.item + UnitAt(step, i).first * step.routed.item_block);
  }
  if (rows == 0) return;
  // Units of one item read the same rows: they are brought together once.
  ConstRows x;
  if (step.routed.item_block == 0) {
    x = Gather(job.x, RowsOf(job.items, step.routed.item),
               FeaturesOf(contraction, contraction.all_blocks()), workspace.scratch);
  }
  const int64_t work = rows * contraction.groups * UnitAt(step, 0).count * contraction.panels() *
                       kPanelOutputs * contraction.depth();
  if (work < kWorthSharing || workspace.pool.threads() == 1) {
    for (int64_t i = 0; i < units; ++i) {
      RunUnit(job, UnitAt(step, i), 0, 1, x, workspace.scratch);
    }
    return;
  }
  const int64_t parts =
      std::clamp<int64_t>(4 * workspace.pool.threads() / units, 1, contraction.panels());
  workspace.pool.Run(units * parts, [&](int64_t task, Worker& worker) {
    RunUnit(job, UnitAt(step, task / parts), task % parts, parts, x, worker.scratch);
  });
}

}  // namespace dyad::kernels
