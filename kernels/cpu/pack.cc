// Packing of weights, once at load, and of rows, on each call: layouts in
// kernels/cpu/contraction.h.
#include <algorithm>
#include <cstring>

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

void PackRowBlock(const PackedContraction& contraction, ConstRows x, RowBlock rows, float* packed) {
  const int64_t depth = contraction.term_depth;
  float* to = packed + rows.first * contraction.packed_row_floats();
  for (int64_t b = 0; b < contraction.blocks; ++b) {
    for (const FeatureView& view : contraction.sources) {
      const float* from = x.data + rows.first * x.stride + view.offset + b * view.block_stride;
      if (rows.count == 1 && view.stride == 1) {
        std::memcpy(to, from, static_cast<size_t>(depth) * sizeof(float));
      } else {
        for (int64_t k = 0; k < depth; ++k) {
          for (int64_t r = 0; r < rows.count; ++r) {
            to[k * rows.count + r] = from[r * x.stride + k * view.stride];
          }
        }
      }
      to += depth * rows.count;
    }
  }
}

}  // namespace dyad::kernels
