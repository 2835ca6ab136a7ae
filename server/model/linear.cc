// Tensors of a linear layer -> kernels::LinearSpec -> packed weights.
#include "server/model/linear.h"

#include <optional>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/algorithm/container.h"
#include "absl/strings/str_join.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/model/convert.h"
#include "server/model/tensor_rows.h"

namespace dyad {
namespace {

using kernels::LinearSpec;
using kernels::WeightType;

// A layer whose tensors were found and fit.
struct FoundLinear {
  std::string name;  // module path as the file spells it
  LinearStructure structure;
  LinearSize size;
  int64_t blocks = 1;
  std::vector<NamedTensor> weights;  // {weight} or {wl, wu}
  std::optional<NamedTensor> bias;

  int64_t weight_elements() const {
    return static_cast<int64_t>(weights.size()) * size.in * size.out / blocks;
  }
};

// The tensors say dense or DYAD; structured_linear may only agree, and adds the variant.
absl::StatusOr<LinearStructure> FindStructure(const LoadContext& context, const std::string& path) {
  ASSIGN_OR_RETURN(const auto named, context.structured.Find(path));
  const std::vector<std::string> leaves = context.tensors.LeavesUnder(path);
  const auto has = [&](std::string_view leaf) { return absl::c_linear_search(leaves, leaf); };
  const bool dense = has("weight");
  const bool dyad = has("wl") || has("wu");
  const std::string found = leaves.empty() ? "none" : absl::StrJoin(leaves, ", ");
  if (dense == dyad) {
    const bool missing = leaves.empty() || (leaves.size() == 1 && leaves.front() == "bias");
    const std::string problem =
        missing ? Text("tensor ", path, ".weight is missing") : Text("unsupported layer ", path);
    return absl::InvalidArgumentError(Text(context.tensors.FilesText(), ": ", problem,
                                           "; found tensors of this layer: ", found,
                                           "; expected weight (dense) or wl and wu (DYAD)"));
  }
  const LinearKind kind = dyad ? LinearKind::kDyad : LinearKind::kDense;
  if (!named.has_value()) return LinearStructure{kind, kernels::DyadVariant::kIt};
  if (named->kind == kind) return *named;
  return absl::InvalidArgumentError(Text("config.json: structured_linear says that ", path, " is ",
                                         dyad ? "dense" : "dyad", ", but ",
                                         context.tensors.FilesText(), " has the tensors: ", found,
                                         dyad ? "; expected weight" : "; expected wl and wu"));
}

// wl decides the number of blocks, config.json and wu must follow.
absl::Status FindDyadWeights(LoadContext& context, const std::string& path, FoundLinear& linear) {
  const std::optional<NamedTensor> wl = context.tensors.Find(Text(path, ".wl"));
  if (!wl.has_value()) {
    return absl::InvalidArgumentError(Text(context.tensors.FilesText(), ": tensor ", path,
                                           ".wl is missing beside ", path, ".wu"));
  }
  const LinearSize size = linear.size;
  const std::vector<int64_t>& shape = wl->stored->shape;
  const std::string expected = Text("[blocks, ", size.out, "/blocks, ", size.in, "/blocks]");
  if (shape.size() != 3 || shape[0] < 1) return WrongShape(*wl, expected);
  const int64_t blocks = shape[0];
  if (size.in % blocks != 0 || size.out % blocks != 0) {
    return WrongShape(*wl, Text(expected, ", and ", blocks, " does not divide both"));
  }
  if (context.dyad_dim.has_value() && *context.dyad_dim != blocks) {
    return absl::InvalidArgumentError(Text("config.json: dyad_dim is ", *context.dyad_dim, ", but ",
                                           TensorText(*wl), " has ", blocks, " blocks"));
  }
  const std::vector<int64_t> exact = {blocks, size.out / blocks, size.in / blocks};
  if (shape != exact) return WrongShape(*wl, ShapeText(exact));
  context.tensors.Take(*wl);
  ASSIGN_OR_RETURN(NamedTensor wu, context.tensors.Take(Text(path, ".wu"), exact));
  linear.blocks = blocks;
  linear.weights = {*wl, std::move(wu)};
  return absl::OkStatus();
}

// DYAD writes its bias as a column.
absl::Status FindBias(LoadContext& context, const std::string& path, FoundLinear& linear) {
  const std::string name = Text(path, ".bias");
  std::vector<int64_t> shape = {linear.size.out};
  if (linear.structure.kind == LinearKind::kDyad) {
    const auto stored = context.tensors.Find(name);
    if (!stored.has_value() || stored->stored->shape != shape) shape.push_back(1);
  }
  ASSIGN_OR_RETURN(linear.bias, context.tensors.Take(name, shape));
  return absl::OkStatus();
}

absl::StatusOr<FoundLinear> FindLinear(LoadContext& context, const std::string& path,
                                       LinearSize size, Bias bias) {
  FoundLinear linear;
  linear.size = size;
  ASSIGN_OR_RETURN(linear.structure, FindStructure(context, path));
  if (linear.structure.kind == LinearKind::kDyad) {
    RETURN_IF_ERROR(FindDyadWeights(context, path, linear));
  } else {
    ASSIGN_OR_RETURN(NamedTensor weight,
                     context.tensors.Take(Text(path, ".weight"), {size.out, size.in}));
    linear.weights = {std::move(weight)};
  }
  const std::string& first = linear.weights.front().name;
  linear.name = first.substr(0, first.rfind('.'));
  if (bias == Bias::kPresent) RETURN_IF_ERROR(FindBias(context, path, linear));
  return linear;
}

// In both passes, so that counts are known before anything is read.
void Count(const FoundLinear& linear, WeightType type, LoadTally& tally) {
  const bool dyad = linear.structure.kind == LinearKind::kDyad;
  const int64_t dense = linear.size.in * linear.size.out;
  const int64_t bias = linear.bias.has_value() ? linear.size.out : 0;
  const int64_t weights = linear.weight_elements();
  tally.layers.push_back({.name = linear.name,
                          .kind = dyad ? "dyad" : "dense",
                          .variant = dyad ? std::string(VariantName(linear.structure.variant)) : "",
                          .blocks = static_cast<int32_t>(linear.blocks),
                          .in_features = linear.size.in,
                          .out_features = linear.size.out,
                          .parameters = weights + bias});
  tally.parameters += weights + bias;
  tally.dense_equivalent_parameters += dense + bias;
  tally.elements[type] += weights;
  tally.multiply_adds += static_cast<double>(weights);
  tally.dense_multiply_adds += static_cast<double>(dense);
}

// One layer has one type: where wl and wu are stored in two, float32 holds both exactly.
absl::StatusOr<WeightType> ChooseType(const FoundLinear& linear, WeightDtype dtype) {
  ASSIGN_OR_RETURN(const WeightType type, ChooseWeightType(linear.weights.front(), dtype));
  ASSIGN_OR_RETURN(const WeightType last, ChooseWeightType(linear.weights.back(), dtype));
  return type == last ? type : WeightType::kFloat32;
}

absl::StatusOr<Linear> Pack(LoadContext& context, const FoundLinear& linear, WeightType type) {
  std::vector<float> bias;
  if (linear.bias.has_value()) {
    ASSIGN_OR_RETURN(bias, ReadFloats(*linear.bias, context.pool));
  }
  ASSIGN_OR_RETURN(const WeightType source, ChooseType(linear, SourceDtype(context.weight_dtype)));
  std::vector<WeightMatrix> matrices;
  for (const NamedTensor& weight : linear.weights) {
    ASSIGN_OR_RETURN(WeightMatrix matrix, ReadWeights(weight, source, context.pool));
    matrices.push_back(std::move(matrix));
  }
  const auto [in, out] = linear.size;
  LinearSpec spec =
      linear.structure.kind == LinearKind::kDense
          ? kernels::DenseSpec(in, out, type, matrices[0].data(), bias)
          : kernels::DyadSpec(in, out, type, linear.structure.variant,
                              {linear.blocks, matrices[0].data(), matrices[1].data()}, bias);
  spec.quantized_from = source;
  Linear result{kernels::PackedLinear(spec, &context.pool)};
  for (const NamedTensor& weight : linear.weights) context.tensors.Release(weight);
  context.tally.linear_bytes += result.packed()->weight_bytes();
  context.tally.weight_bytes +=
      result.packed()->weight_bytes() + static_cast<int64_t>(bias.size() * sizeof(float));
  return result;
}

}  // namespace

void Linear::Apply(const at::Tensor& x, const at::Tensor& y, kernels::Activation activation,
                   kernels::Workspace& workspace) const {
  packed_->Apply(x.size(0), ReadRows(x), WriteRows(y), {.activation = activation, .residual = {}},
                 workspace);
}

void Linear::Add(const at::Tensor& x, const at::Tensor& y, kernels::Workspace& workspace) const {
  packed_->Apply(x.size(0), ReadRows(x), WriteRows(y),
                 {.activation = kernels::Activation::kNone, .residual = ReadRows(y)}, workspace);
}

void ApplyTogether(const at::Tensor& x, const std::array<LinearResult, 3>& results,
                   kernels::Workspace& workspace) {
  std::array<kernels::LinearOutput, 3> outputs;
  for (size_t i = 0; i < results.size(); ++i)
    outputs[i] = {results[i].layer.packed(), WriteRows(results[i].y)};
  kernels::ApplyTogether(x.size(0), ReadRows(x), outputs, workspace);
}

absl::StatusOr<Linear> LoadLinear(LoadContext& context, const std::string& path, LinearSize size,
                                  Bias bias) {
  ASSIGN_OR_RETURN(const FoundLinear linear, FindLinear(context, path, size, bias));
  ASSIGN_OR_RETURN(const WeightType type, ChooseType(linear, context.weight_dtype));
  Count(linear, type, context.tally);
  context.linear_paths.push_back(path);
  if (context.pass == LoadPass::kCheck) return Linear();
  return Pack(context, linear, type);
}

}  // namespace dyad
