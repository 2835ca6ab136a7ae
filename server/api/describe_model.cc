// ServedModel -> v1::Model.
#include "server/api/describe_model.h"

#include <algorithm>
#include <cstdint>

#include "server/api/parse_request.h"
#include "server/base/status_macros.h"
#include "server/engine/engine_status.h"

namespace dyad {
namespace {

v1::Model WithoutLayers(const ServedModel& model, v1::ModelState state) {
  v1::Model proto;
  proto.set_name(model.name);
  proto.set_architecture(model.info.architecture);
  proto.set_state(state);
  proto.set_digest(model.info.digest);
  proto.set_parameters(model.info.parameters);
  proto.set_dense_equivalent_parameters(model.info.dense_equivalent_parameters);
  proto.set_weight_dtype(model.info.weight_dtype);
  proto.set_kv_dtype(model.info.kv_dtype);
  proto.set_device(model.info.device);
  proto.set_arithmetic(model.info.arithmetic);
  proto.set_context_length(model.limits.context_length);
  proto.set_vocab_size(model.limits.vocab_size);
  if (model.info.bos_id.has_value()) proto.set_bos_id(*model.info.bos_id);
  if (!model.eos_ids.empty()) proto.set_eos_id(model.eos_ids.front());
  proto.mutable_eos_ids()->Assign(model.eos_ids.begin(), model.eos_ids.end());
  if (model.prefix_id.has_value()) proto.set_prefix_id(*model.prefix_id);
  proto.set_has_tokenizer(model.tokenizer != nullptr);
  proto.set_tokenizer_digest(model.tokenizer_digest);
  proto.set_weight_bytes(model.info.weight_bytes);
  proto.set_kv_cache_bytes(model.info.kv_cache_bytes);
  proto.set_layer_count(static_cast<int32_t>(model.info.layers.size()));
  return proto;
}

// Bounds of an answer: names have at most 512 bytes, so that it stays below 4 MiB, which is what
// clients take unless they are told more.
constexpr int64_t kMostLayers = 1024, kMostDetailedLayers = 128;
constexpr size_t kMostSourceTensors = 16;

void AddDetails(const LinearInfo& info, v1::LayerDetails& details) {
  details.set_kind(info.kind);
  details.set_tensor_count(static_cast<int32_t>(info.tensors.size()));
  for (size_t i = 0; i < std::min(info.tensors.size(), kMostSourceTensors); ++i) {
    v1::SourceTensor& tensor = *details.add_tensors();
    tensor.set_name(info.tensors[i].name);
    tensor.set_type(info.tensors[i].type);
    tensor.mutable_shape()->Assign(info.tensors[i].shape.begin(), info.tensors[i].shape.end());
  }
  details.mutable_steps()->Assign(info.steps.begin(), info.steps.end());
  details.set_form(info.multiplied_out ? v1::LAYER_FORM_DENSE : v1::LAYER_FORM_PLAN);
  details.set_form_reason(info.form_reason);
  details.set_dense_parameters(info.dense_parameters());
  details.set_multiply_adds(info.multiply_adds);
  details.set_dense_multiply_adds(info.dense_multiply_adds());
  details.set_weight_bytes(info.weight_bytes);
  details.set_dense_weight_bytes(info.dense_weight_bytes);
  if (info.routed) details.set_pays(info.pays());
}

void AddLayers(const ServedModel& model, const v1::GetModelRequest& request, v1::Model& proto) {
  const int64_t most = request.layer_details() ? kMostDetailedLayers : kMostLayers;
  const int64_t end = std::min(request.first_layer() + most, std::ssize(model.info.layers));
  for (int64_t i = request.first_layer(); i < end; ++i) {
    const LinearInfo& info = model.info.layers[static_cast<size_t>(i)];
    v1::LinearLayer& layer = *proto.add_layers();
    layer.set_name(info.name);
    layer.set_structure(info.structure);
    layer.set_in_features(info.in_features);
    layer.set_out_features(info.out_features);
    layer.set_parameters(info.parameters);
    if (request.layer_details()) AddDetails(info, *layer.mutable_details());
  }
}

}  // namespace

v1::ModelState StateOf(const ServedModel& model, const ServerState& state) {
  if (state.draining) return v1::MODEL_STATE_DRAINING;
  const bool stalls = model.engine != nullptr &&
                      !engine::StallReason(model.engine->Status(), state.stall_timeout).empty();
  return stalls ? v1::MODEL_STATE_STALLED : v1::MODEL_STATE_READY;
}

std::string StructureOf(const ModelInfo& info) {
  for (const LinearInfo& layer : info.layers) {
    if (layer.kind != "dense") return layer.kind;
  }
  return "dense";
}

absl::StatusOr<v1::ListModelsResponse> ListModels(const v1::ListModelsRequest&, Call& call) {
  v1::ListModelsResponse response;
  for (const ServedModel& model : call.state().models.models()) {
    *response.add_models() = WithoutLayers(model, StateOf(model, call.state()));
  }
  return response;
}

absl::StatusOr<v1::GetModelResponse> GetModel(const v1::GetModelRequest& request, Call& call) {
  ASSIGN_OR_RETURN(const ServedModel* model, call.state().models.Find(request.model()));
  call.SetModel(*model);
  RETURN_IF_ERROR(CheckRange<int64_t>(
      {"first_layer", request.first_layer(), 0, std::ssize(model->info.layers)}));
  v1::GetModelResponse response;
  *response.mutable_model() = WithoutLayers(*model, StateOf(*model, call.state()));
  AddLayers(*model, request, *response.mutable_model());
  return response;
}

}  // namespace dyad
