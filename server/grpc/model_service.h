// ModelService's handlers: they answer at once, on gRPC's thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include "dyad/v1/model.grpc.pb.h"
#include "server/grpc/rpc_call.h"

namespace dyad {

// Threads: gRPC's, several at once.
class ModelService final : public v1::ModelService::CallbackService {
 public:
  explicit ModelService(const ServerState& state) : state_(state) {}

  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context,
                                       const v1::ListModelsRequest* request,
                                       v1::ListModelsResponse* response) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context,
                                     const v1::GetModelRequest* request,
                                     v1::Model* response) override;

 private:
  const ServerState& state_;
};

}  // namespace dyad
