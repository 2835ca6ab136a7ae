// One table of tensors, and what the registry says.
#include "server/kserve/metadata.h"

#include <iterator>

#include "server/api/describe_model.h"
#include "server/api/request_error.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

constexpr size_t kVersionDigits = 12;

struct TensorRow {
  const char* name;
  const char* datatype;
  std::vector<int64_t> shape;
};
using TensorRows = std::vector<TensorRow>;

const TensorRows& Inputs() {
  static const auto& rows = *new TensorRows{{"text_input", "BYTES", {-1}},
                                            {"input_ids", "INT64", {1, -1}},
                                            {"sampling_parameters", "BYTES", {1}},
                                            {"exclude_input_in_output", "BOOL", {1}},
                                            {"text", "BYTES", {-1}},
                                            {"context", "BYTES", {-1}},
                                            {"good", "BYTES", {-1}},
                                            {"bad", "BYTES", {-1}}};
  return rows;
}

const TensorRows& Outputs(InferKind kind) {
  static const auto& generated = *new TensorRows{{"text_output", "BYTES", {-1}},
                                                 {"finish_reason", "BYTES", {-1}},
                                                 {"num_input_tokens", "UINT32", {-1}},
                                                 {"num_output_tokens", "UINT32", {-1}}};
  static const auto& scored = *new TensorRows{
      {"sum", "FP64", {-1}}, {"mean", "FP64", {-1}}, {"scored_tokens", "INT32", {-1}}};
  static const auto& pairs =
      *new TensorRows{{"margin", "FP64", {-1}}, {"correct", "BOOL", {-1}}, {"tie", "BOOL", {-1}}};
  switch (kind) {
    case InferKind::kGenerate:
      return generated;
    case InferKind::kScore:
      return scored;
    case InferKind::kPairs:
      return pairs;
  }
  return generated;
}

template <typename Repeated>
void AddRows(const TensorRows& rows, Repeated& tensors) {
  for (const TensorRow& row : rows) {
    auto& tensor = *tensors.Add();
    tensor.set_name(row.name);
    tensor.set_datatype(row.datatype);
    tensor.mutable_shape()->Add(row.shape.begin(), row.shape.end());
  }
}

}  // namespace

std::vector<std::string> OutputNames(InferKind kind) {
  std::vector<std::string> names;
  for (const TensorRow& row : Outputs(kind)) names.emplace_back(row.name);
  return names;
}

std::string VersionOf(const ServedModel& model) {
  return model.info.digest.substr(0, kVersionDigits);
}

absl::StatusOr<const ServedModel*> FindVersion(const ServerState& state, const std::string& name,
                                               const std::string& version) {
  ASSIGN_OR_RETURN(const ServedModel* model, state.models.Find(name));
  if (version.empty() || version == VersionOf(*model)) return model;
  return InvalidField({"model_version", Shortened(version, 100),
                       Text("the only one of ", model->name, " is ", VersionOf(*model))});
}

absl::StatusOr<inference::ServerLiveResponse> ServerLive(const inference::ServerLiveRequest&,
                                                         Call& call) {
  inference::ServerLiveResponse response;
  response.set_live(call.state().serves("liveness"));
  return response;
}

absl::StatusOr<inference::ServerReadyResponse> ServerReady(const inference::ServerReadyRequest&,
                                                           Call& call) {
  inference::ServerReadyResponse response;
  response.set_ready(call.state().serves("readiness"));
  return response;
}

absl::StatusOr<inference::ServerMetadataResponse> ServerMetadata(
    const inference::ServerMetadataRequest&, Call& call) {
  inference::ServerMetadataResponse response;
  response.set_name("dyad-server");
  response.set_version(call.state().info.version);
  return response;
}

absl::StatusOr<inference::ModelReadyResponse> ModelReady(
    const inference::ModelReadyRequest& request, Call& call) {
  ASSIGN_OR_RETURN(const ServedModel* model,
                   FindVersion(call.state(), request.name(), request.version()));
  call.SetModel(*model);
  inference::ModelReadyResponse response;
  response.set_ready(StateOf(*model, call.state()) == v1::MODEL_STATE_READY);
  return response;
}

absl::StatusOr<inference::ModelMetadataResponse> ModelMetadata(
    const inference::ModelMetadataRequest& request, Call& call) {
  ASSIGN_OR_RETURN(const ServedModel* model,
                   FindVersion(call.state(), request.name(), request.version()));
  call.SetModel(*model);
  inference::ModelMetadataResponse response;
  response.set_name(model->name);
  response.add_versions(VersionOf(*model));
  response.set_platform("dyad_" + model->info.architecture);
  AddRows(Inputs(), *response.mutable_inputs());
  for (const InferKind kind : {InferKind::kGenerate, InferKind::kScore, InferKind::kPairs}) {
    AddRows(Outputs(kind), *response.mutable_outputs());
  }
  auto& properties = *response.mutable_properties();
  properties["digest"] = model->info.digest;
  properties["weight_dtype"] = model->info.weight_dtype;
  properties["arithmetic"] = model->info.arithmetic;
  properties["structure"] = StructureOf(model->info);
  return response;
}

}  // namespace dyad
