// kernels/cpu/block_list.h.
#include "kernels/cpu/block_list.h"

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

void RunPlace(const PackedPlace& place, int64_t tokens, ConstRows x, Rows y, Scratch& scratch) {
  auto* rows = scratch.Get<float>(ScratchUse::kRows, tokens * place.contraction.depth());
  PackRanges(place.ranges, x, tokens, rows);
  ContractionJob job;
  job.contraction = &place.contraction;
  job.rows = {rows, place.contraction.all_blocks()};
  job.tokens = tokens;
  job.y = y;
  ContractPanels(job, {0, 1}, scratch);
}

}  // namespace dyad::kernels
