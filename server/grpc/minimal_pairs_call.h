// One ScoreMinimalPairs call: pairs in, results out, of any number, in bounded memory.
//
// A message's pairs are parsed at once and submitted in groups, as one where it can be; a group's
// results leave when its last pair has ended. A pair is in flight from when it is submitted until
// its result is given to a write. At most max_stream_pairs are in flight, and the next message is
// read when all pairs of the last one were submitted and there is room. So a client that does not
// read its results stops being read. If the engine's queue is full, pairs wait here until something
// of this stream ends, or for a moment if nothing of it runs.
//
// Two chains run side by side, and meet under mutex_:
//   in   read → submit, submit … → read …   one thread at a time, gRPC's; intake_ says where it is
//   out  group's end → write → write …      the engine's thread begins, gRPC's go on
// Whoever changes the state picks, in the same critical section, what to ask of gRPC next
// (PickNext: one write in flight; Finish once, when neither chain will ask anything more), and
// asks after releasing it. Only StartRead is called under mutex_, so that it precedes any Finish;
// gRPC reacts on threads of its own.
//
// Lifetime: deletes itself in OnDone, which gRPC calls after Finish and all other reactions.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "dyad/v1/scoring.pb.h"
#include "server/api/pair_group.h"
#include "server/api/pair_queue.h"
#include "server/base/mutex.h"
#include "server/grpc/rpc_call.h"

namespace dyad {

class MinimalPairsCall final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // Starts to read.
  explicit MinimalPairsCall(RpcCall call);

  // Reactions: on gRPC's threads, several at once.
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // Where the chain that takes pairs is. kReads: a read is in flight. kResumes: who set it goes on
  // to submit. kSubmits: one thread is in SubmitPairs. kWaitsForRoom: until OnWriteDone.
  // kWaitsForAlarm: until OnAlarm. kClosed: at its end.
  enum class Intake { kReads, kResumes, kSubmits, kWaitsForRoom, kWaitsForAlarm, kClosed };
  // What to ask of gRPC.
  enum class Action { kNone, kWrite, kFinish };
  struct Next {
    Action action = Action::kNone;
    bool submits = false;  // then this thread goes on to SubmitPairs
  };

  // Picks what follows from the state as it is now, and marks it pending.
  Next PickNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Action PickAction() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The results that wait, as many as one message holds.
  v1::ScoreMinimalPairsResponse TakeResults() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Does it. Nothing is touched after that: another thread may end the call.
  void Do(const Next& next) ABSL_LOCKS_EXCLUDED(mutex_);
  void Fail(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void OnFirstMessage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Submits until there is no room or no pair.
  void SubmitPairs() ABSL_LOCKS_EXCLUDED(mutex_);
  // The next group to submit, or null: then intake_ says why.
  PairGroup* NextGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnRefused(PairGroup& group, const absl::Status& refused)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetAlarm(const absl::Status& refused);
  // What is in the engine ends; nothing more is taken.
  void OnShutdown() ABSL_LOCKS_EXCLUDED(mutex_);
  void OnAlarm() ABSL_LOCKS_EXCLUDED(mutex_);
  void OnGroupEnd(PairGroup& group) ABSL_LOCKS_EXCLUDED(mutex_);

  const ServerState& state_;
  const uint64_t client_;

  // Of the chain that takes pairs.
  grpc::ByteBuffer bytes_in_;
  int64_t messages_read_ = 0;
  PairQueue queue_;
  std::unique_ptr<grpc::Alarm> alarm_;

  // Of the write in flight.
  grpc::ByteBuffer bytes_out_;
  grpc::Status result_;  // set when kFinish is picked

  Mutex mutex_;
  RpcCall call_ ABSL_GUARDED_BY(mutex_);
  Intake intake_ ABSL_GUARDED_BY(mutex_) = Intake::kReads;
  Action pending_ ABSL_GUARDED_BY(mutex_) = Action::kNone;
  // Ends the stream when all groups have ended.
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  size_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;  // pairs
  // In the engine.
  std::map<PairGroup*, std::unique_ptr<PairGroup>> groups_ ABSL_GUARDED_BY(mutex_);
  std::deque<v1::PairScore> results_ ABSL_GUARDED_BY(mutex_);
  // What the first message to the client says beside results, until it was sent.
  std::optional<v1::ScoreMinimalPairsResponse> header_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dyad
