// kernels/cuda/pack.h.
#include "kernels/cuda/pack.h"

#include <algorithm>
#include <cmath>

#include "kernels/cuda/contract.h"
#include "kernels/cuda/tensor.h"
#include "kernels/float16.h"
#include "kernels/int8.h"

namespace dyad::kernels::cuda {
namespace {

float ScaleOf(const Contract& step, int64_t b, int64_t n) {
  float largest = 0;
  for (const Term& term : step.terms) {
    for (int64_t k = 0; k < step.depth; ++k) {
      largest = std::max(largest, std::abs(ValueAt(term.weights, term.weights.At(b, n, k))));
    }
  }
  return Int8Scale(largest);
}

void Put(std::byte* weights, Element type, int64_t i, float value, float scale) {
  switch (type) {
    case Element::kFloat32:
      reinterpret_cast<float*>(weights)[i] = value;
      break;
    case Element::kBfloat16:
      reinterpret_cast<uint16_t*>(weights)[i] = ToBfloat16(value);
      break;
    case Element::kFloat16:
      reinterpret_cast<uint16_t*>(weights)[i] = ToFloat16(value);
      break;
    case Element::kInt8:
      reinterpret_cast<int8_t*>(weights)[i] = QuantizeInt8(value, scale);
      break;
  }
}

// How a layout cuts a step: panels of outputs, and a term's k into vectors.
struct Cut {
  int64_t outputs = 0;  // of a panel
  int64_t depth = 0;    // of a vector
};

// index(o, k): where output o of a panel and element k of a vector lie among the elements that a
// panel has of a vector.
template <typename Index>
PackedWeights PackPanels(const Contract& step, Element type, const Cut& cut, ThreadPool& pool,
                         Index index) {
  PackedWeights packed;
  packed.vectors = (step.depth + cut.depth - 1) / cut.depth;
  packed.panels = (step.outputs + cut.outputs - 1) / cut.outputs;
  const auto terms = std::ssize(step.terms);
  const int64_t panels = step.blocks * packed.panels;
  const int64_t elements = cut.outputs * cut.depth;
  packed.weights.resize(
      static_cast<size_t>(panels * terms * packed.vectors * elements * ElementBytes(type)));
  if (type == Element::kInt8) packed.scales.resize(static_cast<size_t>(panels * cut.outputs));
  pool.Run(panels, [&](int64_t panel) {
    const int64_t b = panel / packed.panels, first = panel % packed.panels * cut.outputs;
    const int64_t count = std::min(cut.outputs, step.outputs - first);
    for (int64_t o = 0; o < count; ++o) {
      float scale = 0;
      if (type == Element::kInt8) {
        scale = ScaleOf(step, b, first + o);
        packed.scales[static_cast<size_t>(panel * cut.outputs + o)] = scale;
      }
      for (int64_t t = 0; t < terms; ++t) {
        const Weights& weights = step.terms[static_cast<size_t>(t)].weights;
        for (int64_t k = 0; k < step.depth; ++k) {
          const int64_t vector = (panel * terms + t) * packed.vectors + k / cut.depth;
          Put(packed.weights.data(), type, vector * elements + index(o, k % cut.depth),
              ValueAt(weights, weights.At(b, first + o, k)), scale);
        }
      }
    }
  });
  return packed;
}

}  // namespace

PackedWeights PackWeights(const Contract& step, Element type, ThreadPool& pool) {
  const int64_t elements = VectorElements(type);
  return PackPanels(step, type, {.outputs = kPanelOutputs, .depth = elements}, pool,
                    [elements](int64_t o, int64_t k) { return o * elements + k; });
}

PackedWeights PackTensorWeights(const Contract& step, Element type, ThreadPool& pool) {
  PackedWeights packed = PackPanels(step, type, {.outputs = kTensorPanel, .depth = kUnitDepth},
                                    pool, [type](int64_t o, int64_t k) {
                                      const int64_t half = k / 16, lane = o % 8 * 4 + k % 8 / 2;
                                      const int64_t i = k % 2 + o / 8 * 2 + k % 16 / 8 * 4;
                                      if (type == Element::kInt8) return lane * 16 + half * 8 + i;
                                      return half * 256 + lane * 8 + i;
                                    });
  if (type != Element::kInt8) return packed;
  for (std::byte& q : packed.weights) q ^= std::byte{0x80};  // plus 128
  return packed;
}

}  // namespace dyad::kernels::cuda
