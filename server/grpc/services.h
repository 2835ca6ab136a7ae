// The five services of dyad.v1 as one thing that a gRPC server registers, with a word for methods
// that there are none of.
// Contract and reasons: server/grpc/README.md.
#pragma once

#include <memory>
#include <vector>

#include "server/api/server_state.h"

namespace grpc {
class ServerBuilder;
class Service;
}  // namespace grpc

namespace dyad {

// Owns the services. Outlives the grpc::Server that it is registered with; that server, and with it
// every call, ends before `state` and the engines do.
class Services {
 public:
  explicit Services(const ServerState& state);
  ~Services();

  // The Open Inference Protocol beside them; before Register.
  void AddKserve(const ServerState& state);
  void Register(grpc::ServerBuilder& builder);

 private:
  class UnknownMethods;

  std::unique_ptr<UnknownMethods> unknown_methods_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
};

}  // namespace dyad
