// A unary call whose answer comes later: Generate and Score.
#pragma once

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/status/statusor.h"
#include "server/grpc/rpc_call.h"
#include "server/grpc/wire_message.h"

namespace dyad {

// Answer is WholeGenerateAnswer or ScoreAnswer, made from its Plan.
//
// No lock: after Start the call belongs to the answer, until that calls back. Lifetime: deletes
// itself in OnDone, which gRPC calls only after Finish; after Finish nothing here is touched.
template <typename Answer, typename Plan, typename Response>
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  // `bytes` takes the answer and lives as long as the call.
  UnaryCall(RpcCall call, Plan plan, grpc::ByteBuffer* bytes)
      : call_(std::move(call)),
        answer_(std::move(plan), call_, [this, bytes](const absl::StatusOr<Response>& answer) {
          Finish(call_.End(Write(answer, bytes)));
        }) {}

  // Once.
  void Start() { answer_.Start(); }

  void OnCancel() override { answer_.Abandon(); }
  void OnDone() override {
    call_.ReportDone();
    delete this;
  }

 private:
  absl::Status Write(const absl::StatusOr<Response>& answer, grpc::ByteBuffer* bytes) const {
    RETURN_IF_ERROR(answer.status());
    ASSIGN_OR_RETURN(*bytes, WriteMessage(*answer, call_.state().limits));
    return absl::OkStatus();
  }

  RpcCall call_;
  Answer answer_;
};

}  // namespace dyad
