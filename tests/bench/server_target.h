// A running server over gRPC as the target of a load.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dyad/v1/model.pb.h"
#include "server/engine/request.h"
#include "tests/bench/load.h"

namespace dyad::bench {

struct ServerTargetOptions {
  std::string address;                                // HOST:PORT, plaintext
  std::string model;                                  // empty: the only one
  int connections = 1;                                // >= 1
  absl::Duration timeout = absl::InfiniteDuration();  // of a request
  engine::Sampling sampling;                          // of each prompt
};

// What the server says of the model. Errors: its own; Unavailable if there is no server.
absl::StatusOr<v1::Model> FindModel(const std::string& address, const std::string& model);

// One target for each connection. Connects now; a failure to reach the server shows in the
// requests.
absl::StatusOr<std::vector<std::unique_ptr<Target>>> ServerTargets(
    const ServerTargetOptions& options);

}  // namespace dyad::bench
