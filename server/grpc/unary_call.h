// A unary call whose answer comes later: Generate and Score.
#pragma once

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/status/statusor.h"
#include "server/grpc/rpc_call.h"

namespace dyad {

// Answer is WholeGenerateAnswer or ScoreAnswer, made from its Plan.
//
// No lock: after Start the call belongs to the answer, until that calls back. Lifetime: deletes
// itself in OnDone, which gRPC calls only after Finish; after Finish nothing here is touched.
template <typename Answer, typename Plan, typename Response>
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  // `response` lives as long as the call.
  UnaryCall(RpcCall call, Plan plan, Response* response)
      : call_(std::move(call)),
        answer_(std::move(plan), call_, [this, response](absl::StatusOr<Response> answer) {
          if (answer.ok()) *response = *std::move(answer);
          Finish(call_.End(answer.status()));
        }) {}

  // Once.
  void Start() { answer_.Start(); }

  void OnCancel() override { answer_.Abandon(); }
  void OnDone() override {
    call_.Report();
    delete this;
  }

 private:
  RpcCall call_;
  Answer answer_;
};

}  // namespace dyad
