// Which health names are SERVING, and the thread that keeps them so.
//
//   name        SERVING while
//   liveness    no engine has stalled (draining is alive: an orchestrator must not kill it early)
//   readiness   no engine has stalled, and the server is not draining
//   "" (all)    as readiness
//   a model's   its engine has not stalled, and the server is not draining
//
// Stalled: work is pending and no step ends, or every step fails; engine::StallReason has the rule.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/base/log_line.h"
#include "server/grpc/rpc_server.h"

namespace dyad {

enum class Phase { kServing, kDraining };

// One model's engine, seen from here.
struct EngineHealth {
  std::string model;
  std::string stall_reason;  // empty: it makes progress
};

// The rules above; pure.
std::map<std::string, ServingState> JudgeHealth(Phase phase,
                                                const std::vector<EngineHealth>& engines);

// Looks at the engines a few times per stall timeout, publishes what changed, and warns when a
// stall begins and when it ends.
class HealthWatch {
 public:
  struct Parts {
    std::function<std::vector<EngineHealth>()> look;  // called under the watch's lock
    std::function<void(const std::string& name, ServingState)> publish;  // as look
    LogFunction log;
  };

  // Has published every name when it returns. `stall_timeout` > 0.
  HealthWatch(Parts parts, absl::Duration stall_timeout);
  ~HealthWatch();
  HealthWatch(const HealthWatch&) = delete;
  HealthWatch& operator=(const HealthWatch&) = delete;

  // Has published NOT_SERVING for all but liveness when it returns. Any thread; for good.
  void StartDraining();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dyad
