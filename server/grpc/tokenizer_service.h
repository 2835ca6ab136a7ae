// TokenizerService's handlers: they answer at once, on gRPC's thread; the cost is bounded by the
// request's size.
#pragma once

#include <grpcpp/grpcpp.h>

#include "dyad/v1/tokenizer.grpc.pb.h"
#include "server/grpc/rpc_call.h"

namespace dyad {

// Threads: gRPC's, several at once.
class TokenizerService final : public v1::TokenizerService::CallbackService {
 public:
  explicit TokenizerService(const ServerState& state) : state_(state) {}

  grpc::ServerUnaryReactor* Tokenize(grpc::CallbackServerContext* context,
                                     const v1::TokenizeRequest* request,
                                     v1::TokenizeResponse* response) override;
  grpc::ServerUnaryReactor* Detokenize(grpc::CallbackServerContext* context,
                                       const v1::DetokenizeRequest* request,
                                       v1::DetokenizeResponse* response) override;

 private:
  const ServerState& state_;
};

}  // namespace dyad
