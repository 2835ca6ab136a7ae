// One ScoreMinimalPairs call: pairs in, results out, of any number, in bounded memory. Here a
// choice is a pair, too.
//
// A message's pairs are parsed at once and submitted in groups, as one where it can be; a group's
// results leave when its last pair has ended. A pair is in flight from when it is submitted until
// its result is given to a write. At most max_stream_pairs are in flight, and the next message is
// read when all pairs of the last one were submitted and there is room. So a client that does not
// read its results stops being read. If the engine's queue is full, pairs wait here until something
// of this stream moves, or for a moment if nothing of it runs.
//
// Whoever changes the state holds mutex_ and then calls Advance, which starts all that can be
// started: a write, a group, a read, the end. gRPC and the engine react on threads of their own.
//
// Lifetime: deletes itself in OnDone, which gRPC calls after Finish and all other reactions. Finish
// waits for groups, writes and the alarm.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "dyad/v1/scoring.pb.h"
#include "server/api/comparison_group.h"
#include "server/api/comparison_queue.h"
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
  struct Message {
    grpc::ByteBuffer bytes;
    size_t pairs = 0;  // whose results it holds
  };

  // On the engine's thread.
  void OnGroupEnd(ComparisonGroup& group) ABSL_LOCKS_EXCLUDED(mutex_);
  // What is in the engine ends; nothing more is taken.
  void OnShutdown() ABSL_LOCKS_EXCLUDED(mutex_);
  void OnAlarm() ABSL_LOCKS_EXCLUDED(mutex_);

  // As many as it takes. Errors: as WriteMessage.
  absl::StatusOr<std::vector<Message>> ToMessages(std::vector<ComparisonResult> results) const;
  // Nothing after Finish.
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // False: there is no room for it now.
  bool SubmitGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetAlarm(absl::Duration delay) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Send(absl::StatusOr<std::vector<Message>> messages) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // To the first message only.
  void AddHeader(Message& message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Push(Message message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Also drops the results that wait and those to come.
  void FailAtOnce(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ServerState& state_;
  const size_t max_pairs_;  // in flight

  // While is_reading_ the reader's, else guarded by mutex_.
  grpc::ByteBuffer bytes_in_;
  int64_t messages_read_ = 0;
  ComparisonQueue queue_;

  Mutex mutex_;
  RpcCall call_ ABSL_GUARDED_BY(mutex_);
  bool is_reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = false;  // messages_.front()
  bool waits_for_alarm_ ABSL_GUARDED_BY(mutex_) = false;
  bool has_all_ ABSL_GUARDED_BY(mutex_) = false;     // of the client's messages
  bool has_header_ ABSL_GUARDED_BY(mutex_) = false;  // the client, or it is in messages_
  bool wants_results_ ABSL_GUARDED_BY(mutex_) = true;
  bool is_finished_ ABSL_GUARDED_BY(mutex_) = false;
  // Ends the stream when all groups have ended.
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  size_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;  // pairs
  // In the engine.
  std::map<ComparisonGroup*, std::unique_ptr<ComparisonGroup>> groups_ ABSL_GUARDED_BY(mutex_);
  std::deque<Message> messages_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Alarm> alarm_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dyad
