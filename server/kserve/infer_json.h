// Requests and answers of /v2 as JSON: tensors are lists.
#pragma once

#include "absl/status/statusor.h"
#include "inference/open_inference_grpc.pb.h"
#include "nlohmann/json.hpp"

namespace dyad {

// A body of .../infer: id, parameters, inputs (name, shape, datatype, data), outputs (name). Data
// may be nested. Errors: InvalidField.
absl::StatusOr<inference::ModelInferRequest> ReadInferJson(const nlohmann::json& body);

nlohmann::ordered_json InferJson(const inference::ModelInferResponse& response);
nlohmann::ordered_json MetadataJson(const inference::ModelMetadataResponse& response);

}  // namespace dyad
