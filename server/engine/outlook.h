// What is in an engine, as far as it decides when one sequence more would end.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/engine/forecast.h"

namespace dyad::engine {

// Whether what is forecast to take `needed` may not end in the time left. What is let in may yet be
// slowed by what comes after it: a third is kept in reserve.
constexpr double kReserve = 1.5;
inline bool TooLong(absl::Duration needed, absl::Duration left) { return kReserve * needed > left; }

// ResourceExhausted.
absl::Status CannotEndInTime(absl::Duration needed, absl::Duration left);

// The sequences of one client.
struct ClientLoad {
  QueuedWork waiting;
  int32_t running = 0;
};

using Clients = std::unordered_map<uint64_t, ClientLoad>;

// What sequences run in.
struct Room {
  int32_t places = 1;            // sequences that can run at once; >= 1
  int32_t max_batch_tokens = 1;  // rows of a step; >= 1
  int32_t pages = 0;
  int32_t pages_used = 0;
};

// A running sequence.
struct RunningWork {
  int64_t tokens = 0;      // of its ids that have yet to be stored
  int64_t new_tokens = 0;  // that it may still generate
};

// A value: no clock, no thread. All that submitters have to know of the queue.
class Outlook {
 public:
  Outlook() = default;
  Outlook(const Forecast& forecast, const Room& room, const std::vector<RunningWork>& running,
          Clients clients);

  // Sequences of a client join the queue; negative ones leave it.
  void Queue(uint64_t client, const QueuedWork& work);
  const QueuedWork& waiting() const { return waiting_; }
  absl::Duration retry_after() const { return forecast_.RetryAfter(waiting_); }

  // Until the end of a sequence that joins the queue now: after its turn there, beside all that is
  // here then. Prefixes that it could share are not known; its ids count in full. 0 before anything
  // was measured. Cost: O(clients).
  absl::Duration TimeToEnd(uint64_t client, const QueuedWork& sequence) const;

 private:
  QueuedWork AheadOf(const ClientLoad& client) const;
  int64_t EndsBefore(const QueuedWork& ahead, const QueuedWork& sequence) const;
  double StepsUntil(int64_t ends, const QueuedWork& ahead) const;
  // Of one sequence after the other: full batches of ids, then a step for each new token.
  double Steps(int64_t tokens, int64_t new_tokens) const;
  int64_t running() const { return static_cast<int64_t>(steps_left_.size()); }

  Forecast forecast_;
  Room room_;
  Clients clients_;
  QueuedWork waiting_;  // of all clients
  // Of those running.
  std::vector<double> steps_left_;  // ascending
  int64_t tokens_left_ = 0;
  double pages_at_end_ = 0;
  int32_t generating_ = 0;
  bool second_runs_ = false;  // some client runs two
};

}  // namespace dyad::engine
