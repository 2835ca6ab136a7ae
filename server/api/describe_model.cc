// ServedModel -> v1::Model.
#include "server/api/describe_model.h"

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
  return proto;
}

void AddLayers(const ServedModel& model, v1::Model& proto) {
  for (const LinearInfo& info : model.info.layers) {
    v1::LinearLayer& layer = *proto.add_layers();
    layer.set_name(info.name);
    layer.set_structure(info.structure);
    layer.set_in_features(info.in_features);
    layer.set_out_features(info.out_features);
    layer.set_parameters(info.parameters);
  }
}

v1::ModelState StateOf(const ServedModel& model, const ServerState& state) {
  if (state.draining) return v1::MODEL_STATE_DRAINING;
  const bool stalls = model.engine != nullptr &&
                      !engine::StallReason(model.engine->Status(), state.stall_timeout).empty();
  return stalls ? v1::MODEL_STATE_STALLED : v1::MODEL_STATE_READY;
}

}  // namespace

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
  v1::GetModelResponse response;
  *response.mutable_model() = WithoutLayers(*model, StateOf(*model, call.state()));
  AddLayers(*model, *response.mutable_model());
  return response;
}

}  // namespace dyad
