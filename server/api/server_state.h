// What all calls share, whichever front door they came in by. Outlives every call.
#pragma once

#include <atomic>

#include "server/api/request_limits.h"
#include "server/api/rpc_record.h"
#include "server/api/served_model.h"
#include "server/api/server_info.h"

namespace dyad {

struct ServerState {
  const ModelRegistry& models;
  RequestLimits limits;
  RpcObserver* observer = nullptr;  // null: nobody looks
  ServerInfo info = {};
  // From now on new generation and scoring calls end with Unavailable, and models say DRAINING;
  // calls that were admitted go on.
  std::atomic<bool> draining = false;
};

}  // namespace dyad
