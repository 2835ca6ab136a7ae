// kernels/cpu/routed.h. What Route computes is defined by kernels/reference/route.cc.
#include "kernels/cpu/routed.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/cpu/batch.h"
#include "kernels/exact_math.h"

namespace dyad::kernels {
namespace {

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

std::span<const int32_t> RowsOf(const ItemRows& items, int64_t item) {
  return {items.rows + items.first[item], static_cast<size_t>(items.count(item))};
}

void RunUnit(const RoutedJob& job, BlockRange unit, int64_t part, int64_t parts, Scratch& scratch) {
  const PackedContraction& contraction = job.step->contraction;
  const int64_t item = job.step->routed.item + unit.first * job.step->routed.item_block;
  const std::span<const int32_t> rows = RowsOf(job.items, item);
  if (rows.empty()) return;
  const int64_t together = job.step->packed_together;
  const BlockRange packed_blocks = {unit.first / together * together, together};
  const auto tokens = static_cast<int64_t>(rows.size());
  const int64_t row_count = tokens * contraction.groups;
  const float* packed = nullptr;
  if (row_count == 1) {
    packed = RowAsPacked(contraction, packed_blocks, job.x.data + rows[0] * job.x.stride);
  }
  if (packed == nullptr) {
    auto* to = scratch.Get<float>(ScratchUse::kRows,
                                  row_count * packed_blocks.count * contraction.depth());
    for (int64_t i = 0; i < RowTileCount(row_count); ++i) {
      PackRowTile(contraction, packed_blocks, job.x, RowTileAt(row_count, i), to, rows.data());
    }
    packed = to;
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

PackedRouted::PackedRouted(PackedContraction packed, Routed chosen)
    : contraction(std::move(packed)), routed(chosen) {
  packed_together = contraction.blocks_together();
  const int64_t of_unit = routed.item_block == 0 ? packed_together : 1;
  units = contraction.blocks / of_unit;
}

int64_t RoutedJob::multiply_adds() const {
  const PackedContraction& contraction = step->contraction;
  int64_t rows = 0;
  for (int64_t unit = 0; unit < step->units; ++unit) {
    rows += items.count(step->routed.item + step->UnitAt(unit).first * step->routed.item_block);
    if (step->routed.item_block == 0) {
      rows *= step->units;
      break;
    }
  }
  return rows * contraction.groups * step->UnitAt(0).count * contraction.panels() * kPanelOutputs *
         contraction.depth();
}

void RunRouted(std::span<const RoutedJob> jobs, RoutedOrder order, Workspace& workspace) {
  // Units of all jobs, or of each.
  int64_t units = 0, work = 0;
  for (const RoutedJob& job : jobs) {
    const int64_t of_job = job.step->units;
    units = order == RoutedOrder::kBlockByBlock ? of_job : units + of_job;
    work += job.multiply_adds();
  }
  if (work == 0) return;
  const auto run = [&](int64_t unit, int64_t part, int64_t parts, Scratch& scratch) {
    if (order == RoutedOrder::kBlockByBlock) {
      for (const RoutedJob& job : jobs) {
        RunUnit(job, job.step->UnitAt(unit), part, parts, scratch);
      }
      return;
    }
    auto job = jobs.begin();
    for (; unit >= job->step->units; ++job) unit -= job->step->units;
    RunUnit(*job, job->step->UnitAt(unit), part, parts, scratch);
  };
  if (work < kWorthSharing || workspace.pool.threads() == 1) {
    for (int64_t i = 0; i < units; ++i) run(i, 0, 1, workspace.scratch);
    return;
  }
  const int64_t parts = std::clamp<int64_t>(4 * workspace.pool.threads() / units, 1,
                                            jobs.front().step->contraction.panels());
  workspace.pool.Run(units * parts, [&](int64_t task, Worker& worker) {
    run(task / parts, task % parts, parts, worker.scratch);
  });
}

}  // namespace dyad::kernels
