// GenerationService's handlers: parse, hand over, return. They hold nothing between calls.
#pragma once

#include <grpcpp/grpcpp.h>

#include "dyad/v1/generation.grpc.pb.h"
#include "server/grpc/rpc_call.h"

namespace dyad {

// Threads: gRPC's, several at once.
class GenerationService final : public v1::GenerationService::CallbackService {
 public:
  explicit GenerationService(const ServerState& state) : state_(state) {}

  grpc::ServerUnaryReactor* Generate(grpc::CallbackServerContext* context,
                                     const v1::GenerateRequest* request,
                                     v1::GenerateResponse* response) override;
  grpc::ServerWriteReactor<v1::GenerateStreamResponse>* GenerateStream(
      grpc::CallbackServerContext* context, const v1::GenerateRequest* request) override;

 private:
  const ServerState& state_;
};

}  // namespace dyad
