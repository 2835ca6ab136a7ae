// What every call has, whatever it does and however it came: its id, what the log will say of it,
// and how it ends.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "dyad/v1/common.pb.h"
#include "server/api/rpc_record.h"
#include "server/api/server_state.h"

namespace dyad {

// Who waits for the results of a call, and until when.
struct Caller {
  absl::Time deadline = absl::InfiniteFuture();  // by SteadyNow()
  uint64_t client = 0;                           // of one connection: the same
};

// What a front door knows of a call when it arrives.
struct Arrival {
  std::string_view method = {};                  // as in RpcRecord
  std::string request_id = {};                   // the client's own, if it gave one
  std::string peer = {};                         // as in RpcRecord
  absl::Time deadline = absl::InfiniteFuture();  // by SteadyNow()
  // The values of its authorization fields.
  std::vector<std::string> authorizations = {};
  // Ends the call although its answer has not left, as UnreadAnswers::Part's.
  std::function<void()> give_up = [] {};
};

// One call from its arrival to its end. Belongs to the front door that took it.
//
// The id is the client's, if that is 1 to 128 printable ASCII characters, else 32 random hex
// digits; every answer carries it, errors too.
//
// Threads: one at a time.
class Call {
 public:
  Call(const ServerState& state, Arrival arrival);

  const ServerState& state() const { return *state_; }
  const Caller& caller() const { return caller_; }
  RpcRecord& record() { return record_; }
  const RpcRecord& record() const { return record_; }
  // What of its answer waits to be read. Any thread.
  UnreadAnswers::Part& unread() { return *unread_; }

  // Whether the client may call at all. Errors: Unauthenticated.
  absl::Status CheckKey() const;

  // The model that serves the call.
  void SetModel(const ServedModel& model);
  // The text that the call is about, for the log; the first one counts.
  void NotePrompt(std::string_view text);
  // One of the call's sequences ended; the slowest one's times are the call's.
  void AddTiming(const engine::Timing& timing);
  v1::Usage Usage() const;

  // Closes the record. Once.
  void Close(const absl::Status& status);

  // Hands the record to the observer. Once, after Close.
  void Report() const;

 private:
  const ServerState* state_;
  Caller caller_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  RpcRecord record_;
  std::vector<std::string> authorizations_;
  std::unique_ptr<UnreadAnswers::Part> unread_;
};

}  // namespace dyad
