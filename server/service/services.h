// The four services of dyad.v1 as one thing that a server registers, and what their handlers share.
// Contract and reasons: server/service/README.md.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "server/service/served_model.h"

namespace dyad {

// What is known of one call when it has ended.
struct RpcRecord {
  std::string request_id;
  std::string_view method;       // "GenerationService/Generate"; lives as long as the program
  std::string peer;              // as gRPC names it: "ipv4:127.0.0.1:40122"
  std::string model;             // name of the served model; empty if none was found
  std::string_view code;         // "OK", "INVALID_ARGUMENT" …; lives as long as the program
  std::string message;           // of the error; bounded, valid UTF-8; empty for OK
  int64_t prompt_tokens = 0;     // fed, prefix and context included
  int64_t generated_tokens = 0;  // of all choices
  int64_t scored_tokens = 0;
  int64_t cached_tokens = 0;  // of prompt_tokens, found in the prefix cache or the step
  absl::Duration queue;       // of the sequence that took longest, as prefill and decode
  absl::Duration prefill;
  absl::Duration decode;
  absl::Duration total;            // from the handler's start to its status
  std::string_view finish_reason;  // of the first choice: "length", "eos", "stop"; empty for scores
  std::string prompt;  // first text of the request, at most 1024 bytes; only if WantsPrompts()
};

// Sees every call end, for logs and metrics. Called on gRPC's threads, possibly several at once;
// must not wait. A call that the server itself refused before its handler ran is not seen.
class RpcObserver {
 public:
  virtual ~RpcObserver() = default;
  virtual bool WantsPrompts() const { return false; }
  virtual void OnRpcEnd(const RpcRecord& record) = 0;
};

// What handlers share. The registry and the observer outlive the services.
struct ServiceContext {
  const ModelRegistry& models;
  RequestLimits limits;
  RpcObserver* observer = nullptr;  // null: nobody looks
};

// Owns the four callback services. Outlives the grpc::Server that it is registered with; that
// server, and with it every call, ends before the engines do.
class Services {
 public:
  explicit Services(const ServiceContext& context);
  ~Services();
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;

  void Register(grpc::ServerBuilder& builder);

  // ListModels and GetModel say DRAINING from now on, and new generation and scoring calls end with
  // UNAVAILABLE; calls that were admitted go on. Any thread.
  void StartDraining();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dyad
