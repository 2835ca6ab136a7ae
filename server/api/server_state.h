// What all calls share, whichever front door they came in by. Outlives every call.
#pragma once

#include <atomic>
#include <functional>
#include <string_view>

#include "absl/time/time.h"
#include "server/api/api_keys.h"
#include "server/api/open_streams.h"
#include "server/api/request_limits.h"
#include "server/api/rpc_record.h"
#include "server/api/served_model.h"
#include "server/api/server_info.h"
#include "server/api/unread_answers.h"

namespace dyad {

struct ServerState {
  const ModelRegistry& models;
  RequestLimits limits;
  RpcObserver* observer = nullptr;  // null: nobody looks
  ServerInfo info = {};
  ApiKeys* keys = nullptr;  // null: nobody needs one
  // From now on new generation and scoring calls end with Unavailable, and models say DRAINING;
  // calls that were admitted go on.
  std::atomic<bool> draining = false;
  // Of "readiness" and "liveness", whether it is so. Any thread.
  std::function<bool(std::string_view)> serves = [](std::string_view) { return true; };
  // Told once `draining` is set. A stream adds itself and looks at `draining` afterwards.
  mutable OpenStreams open_streams = {};
  // Models say STALLED when their engine makes no progress for this long.
  absl::Duration stall_timeout = absl::InfiniteDuration();
  // A call of whose answer nothing is read for this long is given up.
  absl::Duration unread_timeout = absl::Minutes(1);
  mutable UnreadAnswers unread{{limits.max_unread_bytes, unread_timeout}};
};

}  // namespace dyad
