// kernels/cpu/block_list.h.
#include "kernels/cpu/block_list.h"

#include <algorithm>

#include "kernels/cpu/batch.h"

namespace dyad::kernels {

void PackedBlockList::SetCombine(Combine combine) {
  for (PackedPlace& place : places) place.contraction.combine = combine;
}

int64_t PackedBlockList::weight_bytes() const {
  int64_t bytes = 0;
  for (const PackedPlace& place : places) bytes += place.contraction.weight_bytes();
  return bytes;
}

int64_t PackedBlockList::multiply_adds() const {
  int64_t products = 0;
  for (const PackedPlace& place : places) products += kPanelOutputs * place.contraction.depth();
  return products;
}

PackedBlockList PackBlockList(const BlockList& step, const Plan& plan) {
  static_assert(kPlaceOutputs == kPanelOutputs);
  PackedBlockList packed;
  packed.source_width = plan.widths[static_cast<size_t>(step.source)];
  for (const Place& place : step.places) {
    Contract contract;
    contract.source = step.source;
    contract.destination = step.destination;
    contract.depth = DepthOf(step, place);
    contract.outputs = place.outputs;
    contract.view.offset = place.first;
    Weights weights = step.weights;
    weights.data =
        static_cast<const std::byte*>(weights.data) + place.weight * ElementBytes(weights.element);
    contract.terms = {{.source = {}, .weights = weights}};
    const auto first = step.ranges.begin() + place.first_range;
    packed.places.push_back({PackWeights(contract, plan), {first, first + place.ranges}});
  }
  return packed;
}

namespace {

// All features of all rows, [row tile][feature][row]. One row is as it is.
const float* PackWholeRows(int64_t width, int64_t tokens, ConstRows x, Workspace& workspace) {
  if (tokens == 1) return x.data;
  auto* packed = workspace.scratch.Get<float>(ScratchUse::kWhole, tokens * width);
  const Range all = {0, width};
  RunTasks(
      RowTileCount(tokens), tokens * width * kPackedFloat, workspace, [&](int64_t i, Scratch&) {
        const auto [first, count] = RowTileAt(tokens, i);
        PackRanges({&all, 1}, {x.data + first * x.stride, x.stride}, count, packed + first * width);
      });
  return packed;
}

// All rows for one place.
void RunPlace(const PackedPlace& place, int64_t width, int64_t tokens, const float* whole, Rows y,
              Scratch& scratch) {
  auto* rows = scratch.Get<float>(ScratchUse::kRows, tokens * place.contraction.depth());
  float* to = rows;
  for (int64_t i = 0; i < RowTileCount(tokens); ++i) {
    const RowTile tile = RowTileAt(tokens, i);
    for (const Range& range : place.ranges) {
      to = std::copy_n(whole + tile.first * width + range.first * tile.count,
                       range.count * tile.count, to);
    }
  }
  ContractionJob job;
  job.contraction = &place.contraction;
  job.rows = {rows, place.contraction.all_blocks()};
  job.tokens = tokens;
  job.y = y;
  ContractPanels(job, {0, 1}, scratch);
}

}  // namespace

void RunBlockList(const PackedBlockList& list, int64_t tokens, ConstRows x, Rows y,
                  Workspace& workspace) {
  const int64_t width = list.source_width;
  const float* const whole = PackWholeRows(width, tokens, x, workspace);
  RunTasks(std::ssize(list.places), tokens * list.multiply_adds(), workspace,
           [&](int64_t i, Scratch& scratch) {
             RunPlace(list.places[static_cast<size_t>(i)], width, tokens, whole, y, scratch);
           });
}

}  // namespace dyad::kernels
