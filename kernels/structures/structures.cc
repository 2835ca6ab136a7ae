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
extern const Structure kBlockDense;
extern const Structure kBlast;
extern const Structure kEinsum;
extern const Structure kGblr;
extern const Structure kBttMoe;
extern const Structure kBlockSparseDynamic;

std::span<const Structure* const> Structures() {
  static constexpr std::array kAll = {
      &kDense, &kDyad,   &kLowRank, &kMonarch, &kBlockDense,
      &kBlast, &kEinsum, &kGblr,    &kBttMoe,  &kBlockSparseDynamic};
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

std::string BlocksText(int64_t blocks) {
  return std::to_string(blocks) + (blocks == 1 ? " block" : " blocks");
}

Contract ProductOf(int source, int destination, const Leaf& factor) {
  const std::vector<int64_t>& shape = factor.shape;
  Contract product;
  product.source = source;
  product.destination = destination;
  product.outputs = shape[shape.size() - 2];
  product.depth = shape.back();
  product.terms = {{.source = {}, .weights = RowMajor(factor)}};
  if (shape.size() == 3) {
    product.blocks = shape[0];
    product.terms[0].source = {.block = product.depth};
    product.view = {.block = product.outputs};
  }
  return product;
}

namespace {

Fault TakeFirstOf(const std::vector<std::vector<int64_t>>& shapes, Leaves& leaves,
                  std::string_view leaf, LayerSize size, Plan& plan) {
  if (size.bias == Bias::kNone) return {};
  std::string expected = ShapeText(shapes[0]);
  for (size_t i = 1; i < shapes.size(); ++i) expected += " or " + ShapeText(shapes[i]);
  const Leaf* const bias = leaves.Take(leaf, LeafUse::kFloats);
  if (bias == nullptr) {
    return size.bias == Bias::kPresent ? leaves.Missing(leaf, expected) : Fault();
  }
  if (std::find(shapes.begin(), shapes.end(), bias->shape) == shapes.end()) {
    return WrongShape(*bias, expected);
  }
  const int64_t out = plan.out_features();
  plan.bias.assign(static_cast<size_t>(out), 0.0f);
  if (bias->data != nullptr) {
    std::copy_n(static_cast<const float*>(bias->data), std::min(out, bias->shape[0]),
                plan.bias.begin());
  }
  return {};
}

}  // namespace

Fault TakeBias(Leaves& leaves, std::string_view leaf, LayerSize size, BiasShape shape, Plan& plan) {
  const int64_t out = plan.out_features();
  std::vector<std::vector<int64_t>> shapes = {{out}};
  if (shape == BiasShape::kColumn) shapes.push_back({out, 1});
  return TakeFirstOf(shapes, leaves, leaf, size, plan);
}

Fault TakeBiasOf(int64_t stored, Leaves& leaves, std::string_view leaf, LayerSize size,
                 Plan& plan) {
  return TakeFirstOf({{stored}}, leaves, leaf, size, plan);
}

}  // namespace dyad::kernels
