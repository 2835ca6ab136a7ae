// One GenerateStream call: writes an answer's parts as they come.
//
// gRPC's callback API allows one write in flight and asks for exactly one Finish, also after a
// cancellation (gRFC L67). So one thread at a time asks the answer for its next part: first when
// the answer says so, then whenever a write is done.
//
// Lifetime: deletes itself in OnDone, which gRPC calls only after Finish, and that comes after the
// answer's last part. Another thread may write the next part as soon as SendNext got none or wrote
// one, so nothing is touched after that.
#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"
#include "server/api/generate_answer.h"
#include "server/grpc/rpc_call.h"

namespace dyad {

class GenerateStream final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  GenerateStream(RpcCall call, GenerationPlans plans);

  // Submits, or ends the call with the refusal. Once.
  void Start() { answer_.Start(); }

  // Reactions: on gRPC's threads, which must not wait.
  void OnCancel() override { answer_.Abandon(); }
  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  void SendNext();

  RpcCall call_;
  GenerateAnswer answer_;
  // A piece could not be sent: how the call ends. Only SendNext uses it.
  absl::Status failure_;
  // Of the write in flight; gRPC reads it until OnWriteDone.
  grpc::ByteBuffer bytes_;
};

}  // namespace dyad
