// The registry, and what families share.
#include "kernels/structures/structures.h"

#include <algorithm>
#include <array>
#include <string>

namespace dyad::kernels {

extern const Structure kDense;
extern const Structure kDyad;
extern const Structure kLowRank;
extern const Structure kMonarch;

std::span<const Structure* const> Structures() {
  static constexpr std::array kAll = {&kDense, &kDyad, &kLowRank, &kMonarch};
  return kAll;
}

const Structure* FindStructure(std::string_view kind) {
  for (const Structure* structure : Structures()) {
    if (structure->kind == kind) return structure;
  }
  return nullptr;
}

std::string StructureKinds() {
  std::string kinds;
  for (const Structure* structure : Structures()) {
    kinds.append(kinds.empty() ? "" : ", ").append(structure->kind);
  }
  return kinds;
}

Fault CompileLayer(const Structure& structure, Leaves& leaves, Options& options, LayerSize size,
                   Plan& plan) {
  Fault fault = structure.Compile(leaves, options, size, plan);
  if (fault.empty()) fault = options.fault();
  if (fault.empty()) fault = options.RefuseTheRest(structure.kind);
  if (fault.empty()) fault = Check(plan);
  return fault;
}

Fault TakeBias(Leaves& leaves, std::string_view leaf, LayerSize size, BiasShape shape, Plan& plan) {
  if (size.bias == Bias::kNone) return {};
  const int64_t out = plan.out_features();
  const std::vector<int64_t> vector = {out}, column = {out, 1};
  const std::string expected = shape == BiasShape::kVector
                                   ? ShapeText(vector)
                                   : ShapeText(vector) + " or " + ShapeText(column);
  const Leaf* const bias = leaves.Take(leaf, LeafUse::kFloats);
  if (bias == nullptr) {
    return size.bias == Bias::kPresent ? leaves.Missing(leaf, expected) : Fault();
  }
  if (bias->shape != vector && (shape == BiasShape::kVector || bias->shape != column)) {
    return WrongShape(*bias, expected);
  }
  plan.bias.assign(static_cast<size_t>(out), 0.0f);
  if (bias->data != nullptr) {
    std::copy_n(static_cast<const float*>(bias->data), out, plan.bias.begin());
  }
  return {};
}

}  // namespace dyad::kernels
