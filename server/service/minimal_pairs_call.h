// One ScoreMinimalPairs call: pairs in, results out, of any number, in bounded memory.
//
// A pair is held from when it is taken from a message until its result is given to a write; at most
// max_stream_pairs are held, and the next message is read only when all pairs of the last one were
// taken and there is room. So a client that does not read its results stops being read. If the
// engine's queue is full, the pair waits here until something of this stream ends, or for a moment
// if nothing of it runs.
//
// Who calls what: gRPC's threads take, encode and submit pairs (Pump; one of them at a time:
// pumping_); the engine's thread hands results over (OnPairEnd). Whoever changes the state under
// mutex_ picks, in the same critical section, what to ask of gRPC next (NextCall: one write in
// flight, Finish exactly once and when nothing else uses this any more), and asks after releasing
// it.
//
// Lifetime: deletes itself in OnDone, which gRPC calls after Finish and all other reactions.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "dyad/v1/scoring.pb.h"
#include "server/base/mutex.h"
#include "server/service/minimal_pair.h"
#include "server/service/rpc_call.h"

namespace dyad {

class MinimalPairsCall final
    : public grpc::ServerBidiReactor<v1::ScoreMinimalPairsRequest, v1::ScoreMinimalPairsResponse>,
      private PairOwner {
 public:
  // Starts to read.
  explicit MinimalPairsCall(RpcCall call);

  // Reactions: on gRPC's threads, several at once.
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  enum class Call { kNone, kWrite, kFinish };
  enum class Job { kNone, kRead, kSubmit };

  bool PairsWanted() const override { return !gone_.load(std::memory_order_relaxed); }
  void OnPairEnd(PairInFlight* pair) override;

  // Takes pairs from the message, and reads the next one, while there is room.
  void Pump() ABSL_LOCKS_EXCLUDED(mutex_);
  void PumpUntilNothingIsLeft() ABSL_LOCKS_EXCLUDED(mutex_);
  Job NextJob() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SubmitNextPair() ABSL_LOCKS_EXCLUDED(mutex_);
  void OnRefused(std::unique_ptr<PairInFlight> pair, absl::Status refused)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void OnAlarm() ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Status ParseMessage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Fail(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Picks the one gRPC call that may be made now, if any, and marks it pending.
  Call NextCall() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Make(Call call) ABSL_LOCKS_EXCLUDED(mutex_);

  const ServiceState& state_;
  const RequestLimits& limits_;
  const absl::Time deadline_;
  std::atomic<bool> gone_ = false;  // nobody reads the results

  // Written by the read in flight, then by nobody until the next one.
  v1::ScoreMinimalPairsRequest message_in_;
  PairOptions options_;  // set by the first message, before any pair
  // Of the write in flight.
  v1::ScoreMinimalPairsResponse message_out_;
  grpc::Status result_;  // set when kFinish is picked

  // Used by the pumping thread only.
  int taken_pair_ = 0;                          // of message_in_: the one to submit
  std::unique_ptr<PairInFlight> refused_pair_;  // to submit again; counted in held_
  std::unique_ptr<grpc::Alarm> alarm_;

  Mutex mutex_;
  RpcCall call_ ABSL_GUARDED_BY(mutex_);
  absl::Status failure_
      ABSL_GUARDED_BY(mutex_);  // ends the stream when the pairs in flight have ended
  bool has_options_ ABSL_GUARDED_BY(mutex_) = false;
  bool header_sent_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool pumping_ ABSL_GUARDED_BY(mutex_) = false;
  bool waits_for_room_ ABSL_GUARDED_BY(mutex_) =
      false;  // refused_pair_ does, in the engine's queue
  bool alarm_set_ ABSL_GUARDED_BY(mutex_) = false;
  bool write_pending_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  int pairs_in_message_ ABSL_GUARDED_BY(mutex_) = 0;  // of message_in_; 0 while it is being read
  int next_pair_ ABSL_GUARDED_BY(mutex_) = 0;         // of these, the first that was not taken
  int32_t held_ ABSL_GUARDED_BY(mutex_) = 0;  // pairs taken, their results not given to a write
  int32_t in_engine_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<v1::PairScore> results_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dyad
