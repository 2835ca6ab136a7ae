// Packing of weights, once at load: the layout is in kernels/cpu/operands.h.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "kernels/cpu/operands.h"
#include "kernels/float16.h"
#include "kernels/int8.h"

namespace dyad::kernels {
namespace {

// A weight as it is stored: its bits, and its value.
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

template <typename Stored>
uint16_t Bfloat16Bits(Stored weight) {
  return std::is_same_v<Stored, Bfloat16> ? static_cast<uint16_t>(weight.bits)
                                          : ToBfloat16(weight.value());
}

// visit(Stored()) with the type of `element`. REQUIRES: no int8.
template <typename Visit>
void VisitStored(Element element, Visit visit) {
  switch (element) {
    case Element::kFloat32:
      return visit(Float32());
    case Element::kBfloat16:
      return visit(Bfloat16());
    case Element::kFloat16:
      return visit(Float16());
    case Element::kInt8:
      return;
  }
}

// Element k of output n of block b in a term's weights.
template <typename Stored>
const Stored* ElementAt(const Weights& weights, int64_t b, int64_t n, int64_t k) {
  return static_cast<const Stored*>(weights.data) + b * weights.block + n * weights.output +
         k * weights.depth;
}

float LargestMagnitude(const Term& term, int64_t b, int64_t n, int64_t depth) {
  float largest = 0;
  VisitStored(term.weights.element, [&]<typename Stored>(Stored) {
    const auto* row = ElementAt<Stored>(term.weights, b, n, 0);
    for (int64_t k = 0; k < depth; ++k) {
      largest = std::max(largest, std::abs(row[k * term.weights.depth].value()));
    }
  });
  return largest;
}

// [block][panel][32], one scale over all terms of an output; zeros past the end.
std::vector<float> Int8Scales(const Contract& from, const PackedContraction& to) {
  const int64_t padded = to.panels() * kPanelOutputs;
  std::vector<float> scales(static_cast<size_t>(to.blocks * padded), 0.0f);
  for (int64_t b = 0; b < to.blocks; ++b) {
    for (int64_t n = 0; n < to.outputs; ++n) {
      float largest = 0;
      for (const Term& term : from.terms) {
        largest = std::max(largest, LargestMagnitude(term, b, n, from.depth));
      }
      scales[static_cast<size_t>(b * padded + n)] = Int8Scale(largest);
    }
  }
  return scales;
}

// A term's part of one panel, at `row`. convert(weight, output of the panel): as it is packed.
template <typename Packed, typename Stored, typename Convert>
void PackTerm(const PackedContraction& to, int64_t panel, const Term& term, Packed* row,
              Convert convert) {
  const int64_t first = panel % to.panels() * kPanelOutputs;
  const int64_t count = std::min(kPanelOutputs, to.outputs - first);
  const int64_t step = to.LayoutOf(panel).step;
  for (int64_t k = 0; k < to.term_depth; ++k, row += step) {
    const auto* source = ElementAt<Stored>(term.weights, panel / to.panels(), first, k);
    for (int64_t n = 0; n < count; ++n) row[n] = convert(source[n * term.weights.output], n);
    std::fill(row + count, row + kPanelOutputs, Packed{0});  // the bits of 0.0 in every type
  }
}

// What a panel is packed to: `Packed` are the bits of `type`.
template <typename Packed, Element type>
void PackPanel(const Contract& from, PackedContraction& to, int64_t panel) {
  const PanelLayout layout = to.LayoutOf(panel);
  Packed* row = to.weights.as<Packed>() + layout.offset;
  for (const Term& term : from.terms) {
    VisitStored(term.weights.element, [&]<typename Stored>(Stored) {
      PackTerm<Packed, Stored>(to, panel, term, row, [&](Stored weight, int64_t n) -> Packed {
        if constexpr (type == Element::kInt8) {
          return QuantizeInt8(weight.value(),
                              to.scales[static_cast<size_t>(panel * kPanelOutputs + n)]);
        } else if constexpr (type == Element::kBfloat16) {
          return Bfloat16Bits(weight);
        } else if constexpr (type == Element::kFloat16) {
          return std::is_same_v<Stored, Float16> ? static_cast<Packed>(weight.bits)
                                                 : ToFloat16(weight.value());
        } else {
          return weight.value();
        }
      });
    });
    row += layout.step * to.term_depth;
  }
}

// kernels/cpu/integer.h. The scale has no term of its own, so all terms of an output share it.
void PackIntegerPanel(const Contract& from, PackedContraction& to, int64_t panel) {
  const int64_t first = panel % to.panels() * kPanelOutputs;
  const int64_t count = std::min(kPanelOutputs, to.outputs - first);
  const int64_t term_quads = to.quads() / static_cast<int64_t>(from.terms.size());
  int8_t* const packed = to.weights.as<int8_t>() + panel * to.quads() * 4 * kPanelOutputs;
  std::fill_n(packed, to.quads() * 4 * kPanelOutputs, int8_t{0});
  for (int64_t n = 0; n < count; ++n) {
    const auto output = static_cast<size_t>(panel * kPanelOutputs + n);
    int32_t sum = 0;
    int8_t* of_term = packed + 4 * n;
    for (const Term& term : from.terms) {
      VisitStored(term.weights.element, [&]<typename Stored>(Stored) {
        const auto* row = ElementAt<Stored>(term.weights, panel / to.panels(), first + n, 0);
        for (int64_t k = 0; k < from.depth; ++k) {
          const int8_t whole = QuantizeInt8(row[k * term.weights.depth].value(), to.scales[output]);
          of_term[k / 4 * 4 * kPanelOutputs + k % 4] = whole;
          sum += whole;
        }
      });
      of_term += term_quads * 4 * kPanelOutputs;
    }
    to.weight_sums[output] = sum;
  }
}

// kernels/cpu/bfloat16.h.
void PackBfloat16Panel(const Contract& from, PackedContraction& to, int64_t panel) {
  const int64_t first = panel % to.panels() * kPanelOutputs;
  const int64_t count = std::min(kPanelOutputs, to.outputs - first);
  uint16_t* of_term = to.weights.as<uint16_t>() + panel * to.pairs() * 2 * kPanelOutputs;
  std::fill_n(of_term, to.pairs() * 2 * kPanelOutputs, uint16_t{0});
  for (const Term& term : from.terms) {
    VisitStored(term.weights.element, [&]<typename Stored>(Stored) {
      for (int64_t n = 0; n < count; ++n) {
        const auto* row = ElementAt<Stored>(term.weights, panel / to.panels(), first + n, 0);
        for (int64_t k = 0; k < from.depth; ++k) {
          of_term[(k / 2 * kPanelOutputs + n) * 2 + k % 2] =
              Bfloat16Bits(row[k * term.weights.depth]);
        }
      }
    });
    of_term += (from.depth + 1) / 2 * 2 * kPanelOutputs;
  }
}

void PackPanels(const Contract& from, PackedContraction& to, ThreadPool* pool) {
  const auto pack = [&](int64_t panel) {
    if (to.is_integer()) return PackIntegerPanel(from, to, panel);
    if (!to.is_exact()) return PackBfloat16Panel(from, to, panel);
    switch (to.type) {
      case Element::kFloat32:
        return PackPanel<float, Element::kFloat32>(from, to, panel);
      case Element::kBfloat16:
        return PackPanel<uint16_t, Element::kBfloat16>(from, to, panel);
      case Element::kFloat16:
        return PackPanel<uint16_t, Element::kFloat16>(from, to, panel);
      case Element::kInt8:
        return PackPanel<int8_t, Element::kInt8>(from, to, panel);
    }
  };
  const int64_t panels = to.all_panels().last;
  if (pool != nullptr) return pool->Run(panels, pack);
  for (int64_t panel = 0; panel < panels; ++panel) pack(panel);
}

// value(b, n) for each output, in panel order: [block][panel][32], zeros past the end.
template <typename Value>
std::vector<float> InPanelOrder(const PackedContraction& contraction, Value value) {
  const int64_t padded = contraction.panels() * kPanelOutputs;
  std::vector<float> packed(static_cast<size_t>(contraction.blocks * padded), 0.0f);
  for (int64_t b = 0; b < contraction.blocks; ++b) {
    for (int64_t n = 0; n < contraction.outputs; ++n) {
      packed[static_cast<size_t>(b * padded + n)] = value(b, n);
    }
  }
  return packed;
}

}  // namespace

PackedContraction PackWeights(const Contract& step, const Plan& plan, ThreadPool* pool,
                              Arithmetic arithmetic) {
  PackedContraction packed;
  packed.type = step.precise ? Element::kFloat32 : plan.type;
  packed.arithmetic = ArithmeticOf(step, packed.type, arithmetic);
  packed.blocks = step.blocks;
  packed.groups = step.groups;
  packed.outputs = step.outputs;
  packed.term_depth = step.depth;
  for (const Term& term : step.terms) packed.sources.push_back(term.source);
  packed.source_width = plan.widths[static_cast<size_t>(step.source)];
  packed.destination = step.view;
  packed.destination_width = plan.widths[static_cast<size_t>(step.destination)];
  const int64_t depth = packed.is_integer() ? packed.quads() * 4
                        : packed.is_exact() ? packed.depth()
                                            : packed.pairs() * 2;
  packed.weights = AlignedBuffer::Kept(packed.all_panels().last * depth * kPanelOutputs *
                                       ElementBytes(packed.type));
  if (packed.type == Element::kInt8) packed.scales = Int8Scales(step, packed);
  if (packed.is_integer()) packed.weight_sums.assign(packed.scales.size(), 0);
  PackPanels(step, packed, pool);
  if (!step.bias.empty()) {
    packed.bias = InPanelOrder(packed, [&](int64_t b, int64_t n) {
      return step.bias[static_cast<size_t>(b * step.outputs + n)];
    });
  }
  return packed;
}

std::vector<float> PackBias(const PackedContraction& contraction, std::span<const float> bias) {
  return InPanelOrder(contraction, [&](int64_t b, int64_t n) {
    const int64_t feature = contraction.destination.At(b, 0, n);
    return feature < std::ssize(bias) ? bias[static_cast<size_t>(feature)] : 0.0f;
  });
}

}  // namespace dyad::kernels
