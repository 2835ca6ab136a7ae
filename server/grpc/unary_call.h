// A unary call whose answer comes later: Generate and Score.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/grpc/rpc_call.h"
#include "server/grpc/wire_message.h"

namespace dyad {

// Answer is WholeGenerateAnswer or ScoreAnswer, made from its Plan.
//
// After Start the call belongs to the answer, until that calls back. Then only the answer's bytes
// are kept, however long the client takes to read them. Lifetime: deletes itself in OnDone, which
// gRPC calls only after Finish; after Finish nothing here is touched.
template <typename Answer, typename Plan, typename Response>
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  // `bytes` takes the answer and lives as long as the call.
  UnaryCall(RpcCall call, Plan plan, grpc::ByteBuffer* bytes)
      : call_(std::move(call)),
        answer_(std::make_unique<Answer>(
            std::move(plan), call_, [this, bytes](absl::StatusOr<Response> answer) {
              const absl::Status status = Write(std::move(answer), bytes);
              DropAnswer();
              Finish(call_.End(status));
            })) {}

  // Once.
  void Start() { answer_->Start(); }

  void OnCancel() override {
    MutexLock lock(&mutex_);
    if (answer_ != nullptr) answer_->Abandon();
  }
  void OnDone() override {
    call_.ReportDone();
    delete this;
  }

 private:
  absl::Status Write(absl::StatusOr<Response> answer, grpc::ByteBuffer* bytes) {
    RETURN_IF_ERROR(answer.status());
    ASSIGN_OR_RETURN(*bytes, call_.Hold(WriteMessage(*std::move(answer), call_.state().limits)));
    return absl::OkStatus();
  }
  void DropAnswer() {
    std::unique_ptr<Answer> ended;
    MutexLock lock(&mutex_);
    ended = std::move(answer_);
  }

  RpcCall call_;
  Mutex mutex_;  // OnCancel comes at any time
  std::unique_ptr<Answer> answer_;
};

}  // namespace dyad
