// Tensors of a linear layer -> leaves -> a plan -> packed weights.
#include "server/model/linear.h"

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "kernels/densify.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/model/convert.h"
#include "server/model/describe_plan.h"

namespace dyad {
namespace {

using kernels::Element;
using kernels::LeafUse;
using kernels::Structure;

// A tensor that the layer's family took.
struct TakenTensor {
  std::string leaf;
  LeafUse use;
  NamedTensor tensor;
};

// A layer whose tensors were found and fit.
struct FoundLinear {
  std::string path;
  LinearStructure structure;
  kernels::LayerSize size;
  kernels::Leaves leaves;
  kernels::Plan plan;
  kernels::Form form;
  std::vector<TakenTensor> tensors;
  std::deque<std::vector<float>> sizes;  // of leaves on which the plan's steps depend

  int64_t Elements(LeafUse use) const {
    int64_t elements = 0;
    for (const TakenTensor& taken : tensors) {
      if (taken.use == use) elements += taken.tensor.stored->elements();
    }
    return elements;
  }
};

kernels::Leaves LeavesAt(const LoadContext& context, const std::string& path) {
  kernels::Leaves leaves(Text(context.tensors.FilesText(), ": tensor ", path, "."), "");
  for (const std::string& leaf : context.tensors.LeavesUnder(path)) {
    const auto tensor = context.tensors.Find(Text(path, ".", leaf));
    if (!tensor.has_value()) continue;
    leaves.Add(leaf, {.name = TensorText(*tensor), .shape = tensor->stored->shape});
  }
  return leaves;
}

std::string LeafNames(const Structure& structure) {
  return absl::StrJoin(structure.leaves, " and ",
                       [](std::string* text, std::string_view leaf) { text->append(leaf); });
}

absl::Status UnknownLayer(const LoadContext& context, const std::string& path,
                          const kernels::Leaves& leaves) {
  const bool missing = leaves.empty() || leaves.Names() == "bias";
  const std::string problem =
      missing ? Text("tensor ", path, ".weight is missing") : Text("unsupported layer ", path);
  std::string expected;
  for (const Structure* structure : kernels::Structures()) {
    expected +=
        Text(expected.empty() ? "" : ", or ", LeafNames(*structure), " (", structure->kind, ")");
  }
  return absl::InvalidArgumentError(Text(context.tensors.FilesText(), ": ", problem,
                                         "; found tensors of this layer: ", leaves.Names(),
                                         "; expected ", expected));
}

// The tensors say which family it is; structured_linear may only agree, and adds options.
absl::StatusOr<LinearStructure> ChooseStructure(const LoadContext& context, const std::string& path,
                                                const kernels::Leaves& leaves) {
  ASSIGN_OR_RETURN(const auto named, context.structured.Find(path));
  LinearStructure result;
  for (const Structure* structure : kernels::Structures()) {
    if (!structure->Matches(leaves)) continue;
    if (result.structure != nullptr) return UnknownLayer(context, path, leaves);
    result.structure = structure;
  }
  if (result.structure == nullptr) return UnknownLayer(context, path, leaves);
  if (!named.has_value() && context.structured.has_ranks() &&
      result.structure->kind == "low_rank") {
    return absl::InvalidArgumentError(Text(
        "config.json: truncation_ranks does not name ", path, ", but ", context.tensors.FilesText(),
        " has the tensors: ", leaves.Names(), "; expected its rank"));
  }
  if (!named.has_value()) return result;
  if (named->structure == result.structure) return *named;
  return absl::InvalidArgumentError(
      Text("config.json says that ", path, " is ", named->structure->kind, ", but ",
           context.tensors.FilesText(), " has the tensors: ", leaves.Names(), "; expected ",
           LeafNames(*named->structure)));
}

// Compiles the layer from what its leaves are now.
absl::Status Compile(const LoadContext& context, FoundLinear& linear) {
  kernels::Options options = linear.structure.options;
  const std::string option(linear.structure.structure->network_option);
  if (const auto it = context.layer_options.find(option); it != context.layer_options.end()) {
    options.AddNamed(option, Text("config.json: ", option), it->second);
  }
  const kernels::Fault fault = kernels::CompileLayer(*linear.structure.structure, linear.leaves,
                                                     options, linear.size, linear.plan);
  if (fault.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(Text("layer ", linear.path, ": ", fault));
}

// The form that is wanted, or the dense one, where the device has no kernel for some step. The plan
// has its type.
absl::StatusOr<kernels::Form> ChooseForm(const LoadContext& context, const FoundLinear& linear) {
  kernels::Plan dense = kernels::DensePlan(linear.size.in, linear.size.out, {});
  dense.type = linear.plan.type;
  const std::string_view missing_dense = context.device.Misses(dense);
  kernels::Form form = kernels::ChooseForm(linear.plan, context.layer_form);
  const std::string_view missing = form.dense ? missing_dense : context.device.Misses(linear.plan);
  if (missing.empty()) return form;
  const std::string device = context.device.info().name;
  if (!missing_dense.empty() || kernels::IsRouted(linear.plan) ||
      context.layer_form == kernels::LayerForm::kPlan) {
    return absl::InvalidArgumentError(Text(linear.path, " is ", linear.plan.structure, ", ",
                                           linear.size.in, " to ", linear.size.out, ", and device ",
                                           device, " has no kernel for ", missing,
                                           "; expected a layer without, or --device=cpu and "
                                           "--arithmetic=exact"));
  }
  return kernels::Form{true, Text("no ", device, " kernel for ", missing)};
}

absl::StatusOr<FoundLinear> FindLinear(LoadContext& context, const LinearPlace& place) {
  const auto& [path, size, bias] = place;
  FoundLinear linear = {.path = path,
                        .structure = {},
                        .size = {size.in, size.out, bias},
                        .leaves = LeavesAt(context, path),
                        .plan = {},
                        .form = {},
                        .tensors = {},
                        .sizes = {}};
  ASSIGN_OR_RETURN(linear.structure, ChooseStructure(context, path, linear.leaves));
  RETURN_IF_ERROR(Compile(context, linear));
  for (const auto& [leaf, use] : linear.leaves.taken()) {
    linear.tensors.push_back({leaf, use, *context.tensors.Find(Text(path, ".", leaf))});
    context.tensors.Take(linear.tensors.back().tensor);
    RETURN_IF_ERROR(ChooseWeightType(linear.tensors.back().tensor, context.weight_dtype).status());
    if (use != LeafUse::kSizes) continue;
    ASSIGN_OR_RETURN(linear.sizes.emplace_back(),
                     ReadFloats(linear.tensors.back().tensor, context.device));
    linear.leaves.at(leaf).data = linear.sizes.back().data();
  }
  if (!linear.sizes.empty()) RETURN_IF_ERROR(Compile(context, linear));
  return linear;
}

// The module path as the file spells it.
std::string NameOf(const FoundLinear& linear) {
  const auto& [leaf, use, tensor] = linear.tensors.front();
  return tensor.name.substr(0, tensor.name.size() - leaf.size() - 1);
}

LinearInfo InfoOf(const FoundLinear& linear) {
  kernels::Plan dense =
      kernels::DensePlan(linear.size.in, linear.size.out, {}, std::vector<float>(linear.plan.bias));
  dense.type = linear.plan.type;
  const kernels::Plan& runs = linear.form.dense ? dense : linear.plan;
  LinearInfo info = {.name = NameOf(linear),
                     .structure = linear.form.dense ? Text(linear.plan.structure,
                                                           ", multiplied out: ", linear.form.why)
                                                    : linear.plan.structure,
                     .in_features = linear.size.in,
                     .out_features = linear.size.out,
                     .parameters = 0,
                     .kind = std::string(linear.structure.structure->kind),
                     .tensors = {},
                     .steps = StepTexts(linear.plan),
                     .multiplied_out = linear.form.dense,
                     .form_reason = linear.form.why,
                     .biased = !linear.plan.bias.empty(),
                     .routed = kernels::IsRouted(linear.plan),
                     .multiply_adds = kernels::Cost(runs).multiply_adds,
                     .weight_bytes = WeightBytes(runs),
                     .dense_weight_bytes = WeightBytes(dense)};
  for (const auto& [leaf, use, tensor] : linear.tensors) {
    const StoredTensor& stored = *tensor.stored;
    info.parameters += stored.elements();
    info.tensors.push_back({tensor.name, std::string(StoredName(stored.type)), stored.shape});
  }
  return info;
}

// In both passes, so that counts are known before anything is read.
void Count(const FoundLinear& linear, LoadTally& tally) {
  const LinearInfo& info = tally.layers.emplace_back(InfoOf(linear));
  tally.parameters += info.parameters;
  tally.dense_equivalent_parameters +=
      info.dense_multiply_adds() + static_cast<int64_t>(linear.plan.bias.size());
  tally.elements[linear.plan.type] += linear.Elements(LeafUse::kWeights);
  tally.multiply_adds += static_cast<double>(info.multiply_adds);
  tally.dense_multiply_adds += static_cast<double>(info.dense_multiply_adds());
}

// One layer has one type: where tensors are stored in several, float32 holds them exactly.
absl::StatusOr<Element> ChooseType(const FoundLinear& linear, WeightDtype dtype) {
  std::optional<Element> common;
  for (const auto& [leaf, use, tensor] : linear.tensors) {
    if (use != LeafUse::kWeights) continue;
    ASSIGN_OR_RETURN(const Element type, ChooseWeightType(tensor, dtype));
    common = !common.has_value() || *common == type ? type : Element::kFloat32;
  }
  return common.value_or(Element::kFloat32);
}

// What a layer's leaves point into.
struct LeafData {
  std::deque<WeightMatrix> matrices;
  std::deque<std::vector<float>> floats;
};

// Reads the numbers of the layer, and compiles it from them. Its plan keeps its type.
absl::StatusOr<LeafData> ReadLeaves(LoadContext& context, FoundLinear& linear) {
  ASSIGN_OR_RETURN(const Element source, ChooseType(linear, SourceDtype(context.weight_dtype)));
  LeafData data;
  for (const auto& [leaf, use, tensor] : linear.tensors) {
    kernels::Leaf& value = linear.leaves.at(leaf);
    if (use == LeafUse::kWeights) {
      ASSIGN_OR_RETURN(data.matrices.emplace_back(), ReadWeights(tensor, source, context.device));
      value.element = source;
      value.data = data.matrices.back().data();
    } else if (use == LeafUse::kFloats) {
      ASSIGN_OR_RETURN(data.floats.emplace_back(), ReadFloats(tensor, context.device));
      value.data = data.floats.back().data();
    }
  }
  const Element type = linear.plan.type;
  RETURN_IF_ERROR(Compile(context, linear));
  linear.plan.type = type;
  return data;
}

void ReleaseWeights(const LoadContext& context, const FoundLinear& linear) {
  for (const TakenTensor& taken : linear.tensors) {
    if (taken.use == LeafUse::kWeights) context.tensors.Release(taken.tensor);
  }
}

absl::StatusOr<std::unique_ptr<kernels::Layer>> Pack(LoadContext& context, FoundLinear& linear) {
  ASSIGN_OR_RETURN(const LeafData data, ReadLeaves(context, linear));
  if (linear.form.dense) linear.plan = kernels::Densify(linear.plan);
  auto result = context.device.Pack(linear.plan);
  ReleaseWeights(context, linear);
  if (kernels::IsRouted(linear.plan)) context.tally.routed[result.get()] = NameOf(linear);
  context.tally.linear_bytes += result->weight_bytes();
  context.tally.weight_bytes +=
      result->weight_bytes() + static_cast<int64_t>(linear.plan.bias.size() * sizeof(float));
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<kernels::Layer>> LoadLinear(LoadContext& context,
                                                           const std::string& path, LinearSize size,
                                                           Bias bias) {
  const LinearPlace place = {path, size, bias};
  ASSIGN_OR_RETURN(FoundLinear linear, FindLinear(context, place));
  ASSIGN_OR_RETURN(linear.plan.type, ChooseType(linear, context.weight_dtype));
  ASSIGN_OR_RETURN(linear.form, ChooseForm(context, linear));
  Count(linear, context.tally);
  context.linears.push_back(place);
  if (context.pass == LoadPass::kCheck) return nullptr;
  return Pack(context, linear);
}

absl::StatusOr<DenseMatrix> MultiplyOut(LoadContext& context, const LinearPlace& place) {
  ASSIGN_OR_RETURN(FoundLinear linear, FindLinear(context, place));
  ASSIGN_OR_RETURN(const LeafData data, ReadLeaves(context, linear));
  const kernels::Plan dense = kernels::Densify(linear.plan);
  ReleaseWeights(context, linear);
  return DenseMatrix{*dense.folds.back(), dense.bias};
}

}  // namespace dyad
