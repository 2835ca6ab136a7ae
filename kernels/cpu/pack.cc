// Packing of weights, once at load: the layout is in kernels/cpu/contraction.h.
#include <algorithm>

#include "kernels/cpu/contraction.h"

namespace dyad::kernels {
namespace {

template <typename T>
void PackTyped(const Contraction& from, PackedContraction& to) {
  const int64_t depth = to.depth();
  T* panel = to.weights.as<T>();
  for (int64_t b = 0; b < to.blocks; ++b) {
    for (int64_t p = 0; p < to.panels(); ++p, panel += depth * kPanelOutputs) {
      const int64_t first = p * kPanelOutputs;
      const int64_t count = std::min(kPanelOutputs, to.outputs - first);
      T* row = panel;
      for (const Term& term : from.terms) {
        const WeightView& view = term.weight;
        const T* source = static_cast<const T*>(view.data) + b * view.block_stride;
        for (int64_t k = 0; k < from.depth; ++k, row += kPanelOutputs) {
          for (int64_t n = 0; n < count; ++n) {
            row[n] = source[(first + n) * view.output_stride + k * view.depth_stride];
          }
          std::fill(row + count, row + kPanelOutputs, T{0});  // the bits of 0.0 in every type
        }
      }
    }
  }
}

}  // namespace

PackedContraction PackWeights(const Contraction& contraction, WeightType type) {
  PackedContraction packed;
  packed.type = type;
  packed.blocks = contraction.blocks;
  packed.outputs = contraction.outputs;
  packed.term_depth = contraction.depth;
  for (const Term& term : contraction.terms) packed.sources.push_back(term.source);
  packed.destination = contraction.destination;
  packed.combine = contraction.combine;
  packed.weights = AlignedBuffer(packed.blocks * packed.panels() * packed.depth() * kPanelOutputs *
                                 WeightBytes(type));
  if (type == WeightType::kFloat32) {
    PackTyped<uint32_t>(contraction, packed);
  } else {
    PackTyped<uint16_t>(contraction, packed);
  }
  return packed;
}

std::vector<float> PackBias(const PackedContraction& contraction, std::span<const float> bias) {
  const int64_t padded = contraction.panels() * kPanelOutputs;
  std::vector<float> packed(static_cast<size_t>(contraction.blocks * padded), 0.0f);
  const FeatureView& view = contraction.destination;
  for (int64_t b = 0; b < contraction.blocks; ++b) {
    for (int64_t n = 0; n < contraction.outputs; ++n) {
      packed[static_cast<size_t>(b * padded + n)] =
          bias[static_cast<size_t>(view.offset + b * view.block_stride + n * view.stride)];
    }
  }
  return packed;
}

}  // namespace dyad::kernels
