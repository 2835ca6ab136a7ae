// What ModelService answers: what the registry says, in proto.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "dyad/v1/model.pb.h"
#include "server/api/call.h"

namespace dyad {

// What a model says of itself: it is ready, stalled or draining.
v1::ModelState StateOf(const ServedModel& model, const ServerState& state);

// The structure of its layers: that of the first that is not dense, or "dense".
std::string StructureOf(const ModelInfo& info);

// Every model, without its layers.
absl::StatusOr<v1::ListModelsResponse> ListModels(const v1::ListModelsRequest& request, Call& call);

// At most a bounded number of layers, from first_layer on. Errors: NotFound; InvalidArgument:
// first_layer is past the end.
absl::StatusOr<v1::GetModelResponse> GetModel(const v1::GetModelRequest& request, Call& call);

}  // namespace dyad
