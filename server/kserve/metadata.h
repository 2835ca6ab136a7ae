// What the Open Inference Protocol asks of a server and of its models.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "inference/open_inference_grpc.pb.h"
#include "server/api/call.h"

namespace dyad {

// Which inputs a request has decides what it is.
enum class InferKind { kGenerate, kScore, kPairs };

// Of the outputs of such a request, in order.
std::vector<std::string> OutputNames(InferKind kind);

// 12 digits of the model's digest.
std::string VersionOf(const ServedModel& model);

// Errors: NotFound; InvalidField of model_version.
absl::StatusOr<const ServedModel*> FindVersion(const ServerState& state, const std::string& name,
                                               const std::string& version);

absl::StatusOr<inference::ServerLiveResponse> ServerLive(const inference::ServerLiveRequest&,
                                                         Call& call);
absl::StatusOr<inference::ServerReadyResponse> ServerReady(const inference::ServerReadyRequest&,
                                                           Call& call);
absl::StatusOr<inference::ServerMetadataResponse> ServerMetadata(
    const inference::ServerMetadataRequest&, Call& call);
// Errors: those of FindVersion.
absl::StatusOr<inference::ModelReadyResponse> ModelReady(
    const inference::ModelReadyRequest& request, Call& call);
absl::StatusOr<inference::ModelMetadataResponse> ModelMetadata(
    const inference::ModelMetadataRequest& request, Call& call);

}  // namespace dyad
