// A call that came over gRPC: what its context says of it, and its end on the wire.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/api/call.h"

namespace dyad {

// The client's id is its metadata x-request-id; the call's returns in trailing metadata. Nothing is
// sent before the end or the first message, so that a client may retry what was refused.
class RpcCall final : public Call {
 public:
  // `method` as in RpcRecord. `context` lives as long as this.
  RpcCall(const ServerState& state, grpc::CallbackServerContext* context, std::string_view method);

  // What WriteMessage gave; it waits to be read from now on. Errors: those that it gave;
  // ResourceExhausted UNREAD_ANSWERS.
  absl::StatusOr<grpc::ByteBuffer> Hold(absl::StatusOr<grpc::ByteBuffer> bytes);

  // Closes the record and sets the trailing metadata; the result goes to Finish. Once.
  grpc::Status End(const absl::Status& status);

  // Reports what the client got: an answer that did not reach it is no OK. Once, in OnDone, when
  // gRPC knows.
  void ReportDone();

 private:
  grpc::CallbackServerContext* context_;
};

// Ends a call from its handler. Deletes itself when gRPC is done with it.
template <typename Reactor>
class EndedCall final : public Reactor {
 public:
  EndedCall(RpcCall call, const absl::Status& status) : call_(std::move(call)) {
    this->Finish(call_.End(status));
  }
  void OnDone() override {
    call_.ReportDone();
    delete this;
  }

 private:
  RpcCall call_;
};

}  // namespace dyad
