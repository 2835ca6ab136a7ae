// kernels/cuda/pack.h.
#include "kernels/cuda/pack.h"

#include <algorithm>
#include <cmath>

#include "kernels/cuda/contract.h"
#include "kernels/float16.h"
#include "kernels/int8.h"

namespace dyad::kernels::cuda {
namespace {

float ValueAt(const Weights& weights, int64_t b, int64_t n, int64_t k) {
  const int64_t i = b * weights.block + n * weights.output + k * weights.depth;
  switch (weights.element) {
    case Element::kBfloat16:
      return FromBfloat16(static_cast<const uint16_t*>(weights.data)[i]);
    case Element::kFloat16:
      return FromFloat16(static_cast<const uint16_t*>(weights.data)[i]);
    default:
      return static_cast<const float*>(weights.data)[i];
  }
}

float ScaleOf(const Contract& step, int64_t b, int64_t n) {
  float largest = 0;
  for (const Term& term : step.terms) {
    for (int64_t k = 0; k < step.depth; ++k) {
      largest = std::max(largest, std::abs(ValueAt(term.weights, b, n, k)));
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

}  // namespace

PackedWeights PackWeights(const Contract& step, Element type, ThreadPool& pool) {
  const int64_t elements = VectorElements(type);
  PackedWeights packed;
  packed.vectors = (step.depth + elements - 1) / elements;
  packed.panels = (step.outputs + kPanelOutputs - 1) / kPanelOutputs;
  const auto terms = std::ssize(step.terms);
  const int64_t panel_vectors = terms * packed.vectors;
  const int64_t panels = step.blocks * packed.panels;
  packed.weights.resize(static_cast<size_t>(panels * panel_vectors * kPanelOutputs * kVectorBytes));
  if (type == Element::kInt8) packed.scales.resize(static_cast<size_t>(panels * kPanelOutputs));
  pool.Run(panels, [&](int64_t panel) {
    const int64_t b = panel / packed.panels, first = panel % packed.panels * kPanelOutputs;
    const int64_t count = std::min(kPanelOutputs, step.outputs - first);
    for (int64_t o = 0; o < count; ++o) {
      float scale = 0;
      if (type == Element::kInt8) {
        scale = ScaleOf(step, b, first + o);
        packed.scales[static_cast<size_t>(panel * kPanelOutputs + o)] = scale;
      }
      for (int64_t t = 0; t < terms; ++t) {
        const Weights& weights = step.terms[static_cast<size_t>(t)].weights;
        for (int64_t k = 0; k < step.depth; ++k) {
          const int64_t vector = panel * panel_vectors + t * packed.vectors + k / elements;
          Put(packed.weights.data(), type, (vector * kPanelOutputs + o) * elements + k % elements,
              ValueAt(weights, b, first + o, k), scale);
        }
      }
    }
  });
  return packed;
}

}  // namespace dyad::kernels::cuda
