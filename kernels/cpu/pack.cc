// Packing of weights, once at load: the layout is in kernels/cpu/contraction.h.
#include <algorithm>
#include <cmath>

#include "kernels/cpu/contraction.h"
#include "kernels/float16.h"
#include "kernels/int8.h"

namespace dyad::kernels {
namespace {

// Element k of output n of block b in a term's weights.
template <typename Source>
const Source* ElementAt(const WeightView& view, int64_t b, int64_t n, int64_t k) {
  return static_cast<const Source*>(view.data) + b * view.block_stride + n * view.output_stride +
         k * view.depth_stride;
}

// Stored weights that int8 is made from.
struct Float32 {
  float bits;
  float value() const { return bits; }
};
struct Bfloat16 {
  uint16_t bits;
  float value() const { return FromBfloat16(bits); }
};
struct Float16 {
  uint16_t bits;
  float value() const { return FromFloat16(bits); }
};

// [block][panel][32], one scale over all terms of an output; zeros past the end.
template <typename Source>
std::vector<float> Int8Scales(const Contraction& from, const PackedContraction& to) {
  const int64_t padded = to.panels() * kPanelOutputs;
  std::vector<float> scales(static_cast<size_t>(to.blocks * padded), 0.0f);
  for (int64_t b = 0; b < to.blocks; ++b) {
    for (int64_t n = 0; n < to.outputs; ++n) {
      float largest = 0;
      for (const Term& term : from.terms) {
        const Source* row = ElementAt<Source>(term.weight, b, n, 0);
        for (int64_t k = 0; k < from.depth; ++k) {
          largest = std::max(largest, std::abs(row[k * term.weight.depth_stride].value()));
        }
      }
      scales[static_cast<size_t>(b * padded + n)] = Int8Scale(largest);
    }
  }
  return scales;
}

// convert(weight, output within the padded outputs of all blocks): as it is stored.
template <typename T, typename Source, typename Convert>
void PackTyped(const Contraction& from, PackedContraction& to, ThreadPool* pool, Convert convert) {
  const auto pack = [&](int64_t panel) {
    const PanelLayout layout = to.LayoutOf(panel);
    const int64_t first = panel % to.panels() * kPanelOutputs;
    const int64_t count = std::min(kPanelOutputs, to.outputs - first);
    T* row = to.weights.as<T>() + layout.offset;
    for (const Term& term : from.terms) {
      for (int64_t k = 0; k < from.depth; ++k, row += layout.step) {
        const Source* source = ElementAt<Source>(term.weight, panel / to.panels(), first, k);
        for (int64_t n = 0; n < count; ++n) {
          row[n] = convert(source[n * term.weight.output_stride], panel * kPanelOutputs + n);
        }
        std::fill(row + count, row + kPanelOutputs, T{0});  // the bits of 0.0 in every type
      }
    }
  };
  const int64_t panels = to.all_panels().last;
  if (pool != nullptr) return pool->Run(panels, pack);
  for (int64_t panel = 0; panel < panels; ++panel) pack(panel);
}

template <typename Source>
void PackInt8(const Contraction& from, PackedContraction& to, ThreadPool* pool) {
  to.scales = Int8Scales<Source>(from, to);
  PackTyped<int8_t, Source>(from, to, pool, [&](Source weight, int64_t output) {
    return QuantizeInt8(weight.value(), to.scales[static_cast<size_t>(output)]);
  });
}

}  // namespace

PackedContraction PackWeights(const Contraction& contraction, WeightType type, WeightType source,
                              ThreadPool* pool) {
  PackedContraction packed;
  packed.type = type;
  packed.blocks = contraction.blocks;
  packed.outputs = contraction.outputs;
  packed.term_depth = contraction.depth;
  for (const Term& term : contraction.terms) packed.sources.push_back(term.source);
  packed.destination = contraction.destination;
  packed.combine = contraction.combine;
  packed.weights = AlignedBuffer::Kept(packed.all_panels().last * packed.depth() * kPanelOutputs *
                                       WeightBytes(type));
  const auto bits = [](auto weight, int64_t) { return weight; };
  switch (type) {
    case WeightType::kFloat32:
      PackTyped<uint32_t, uint32_t>(contraction, packed, pool, bits);
      break;
    case WeightType::kBfloat16:
    case WeightType::kFloat16:
      PackTyped<uint16_t, uint16_t>(contraction, packed, pool, bits);
      break;
    case WeightType::kInt8:
      if (source == WeightType::kBfloat16) {
        PackInt8<Bfloat16>(contraction, packed, pool);
      } else if (source == WeightType::kFloat16) {
        PackInt8<Float16>(contraction, packed, pool);
      } else {
        PackInt8<Float32>(contraction, packed, pool);
      }
      break;
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
