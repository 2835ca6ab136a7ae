// The Open Inference Protocol over gRPC.
#pragma once

#include <memory>

#include "server/api/server_state.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace dyad {

// `state` outlives the service.
std::unique_ptr<grpc::Service> MakeKserveService(const ServerState& state);

}  // namespace dyad
