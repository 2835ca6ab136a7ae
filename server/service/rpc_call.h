// What every call has, whatever it does: its id, what the log will say of it, and how it ends.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "dyad/v1/common.pb.h"
#include "server/engine/request.h"
#include "server/service/services.h"

namespace dyad {

// Behind all services; outlives every call.
struct ServiceState {
  explicit ServiceState(const ServiceContext& context) : context(context) {}

  const ServiceContext context;
  std::atomic<bool> draining = false;
};

// One call from its handler's start to its end. Belongs to the call's reactor.
//
// The id is the client's metadata x-request-id, if that is 1 to 128 printable ASCII characters,
// else 32 random hex digits; it returns in trailing metadata. Nothing is sent before the end or the
// first message, so that a client may retry what was refused.
//
// Threads: one at a time.
class RpcCall {
 public:
  // `method` as in RpcRecord. `context` lives as long as this.
  RpcCall(const ServiceState& state, grpc::CallbackServerContext* context, std::string_view method);

  const ServiceState& state() const { return *state_; }
  RpcRecord& record() { return record_; }
  absl::Time deadline() const;

  // The model that serves the call.
  void SetModel(const ServedModel& model);
  // The text that the call is about, for the log; the first one counts.
  void NotePrompt(std::string_view text);
  // One of the call's sequences ended; the slowest one's times are the call's.
  void AddTiming(const engine::Timing& timing);
  v1::Usage Usage() const;

  // Closes the record and sets the trailing metadata; the result goes to Finish. Once.
  grpc::Status End(const absl::Status& status);

  // Hands the record to the observer. Once, after End, on a thread of gRPC's.
  void Report() const;

 private:
  const ServiceState* state_;
  grpc::CallbackServerContext* context_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  absl::Duration slowest_;
  RpcRecord record_;
};

// Ends a unary call from its handler.
grpc::ServerUnaryReactor* FinishNow(grpc::CallbackServerContext* context, RpcCall call,
                                    const absl::Status& status);

// Ends a streaming call from its handler, before anything was sent.
template <typename Reactor>
class RefusedStream final : public Reactor {
 public:
  RefusedStream(RpcCall call, const absl::Status& status) : call_(std::move(call)) {
    this->Finish(call_.End(status));
  }
  void OnDone() override {
    call_.Report();
    delete this;
  }

 private:
  RpcCall call_;
};

}  // namespace dyad
