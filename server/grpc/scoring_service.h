// ScoringService's handlers: parse, hand over, return. They hold nothing between calls.
#pragma once

#include <grpcpp/grpcpp.h>

#include "dyad/v1/scoring.grpc.pb.h"
#include "server/grpc/rpc_call.h"

namespace dyad {

// Threads: gRPC's, several at once.
class ScoringService final : public v1::ScoringService::CallbackService {
 public:
  explicit ScoringService(const ServerState& state) : state_(state) {}

  grpc::ServerUnaryReactor* Score(grpc::CallbackServerContext* context,
                                  const v1::ScoreRequest* request,
                                  v1::ScoreResponse* response) override;
  grpc::ServerBidiReactor<v1::ScoreMinimalPairsRequest, v1::ScoreMinimalPairsResponse>*
  ScoreMinimalPairs(grpc::CallbackServerContext* context) override;

 private:
  const ServerState& state_;
};

}  // namespace dyad
