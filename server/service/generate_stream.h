// One GenerateStream call: carries tokens from the engine's thread to gRPC's threads.
//
// gRPC's callback API allows one write in flight and asks for exactly one Finish, also after a
// cancellation (gRFC L67). What is added to a choice during a write gathers and leaves together in
// a later one, so a slow reader costs larger messages, not a growing queue; max_new_tokens bounds
// it. Choices that have something to send take turns.
//
// Lifetime: deletes itself in OnDone. gRPC calls that only after Finish, and Finish waits for the
// OnEnd of every sequence: the engine may use its sinks up to and including that call. Another
// thread may make the last call, so a method that picked none touches nothing after releasing
// mutex_.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <deque>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "dyad/v1/generation.pb.h"
#include "server/base/mutex.h"
#include "server/engine/request.h"
#include "server/service/choice_writer.h"
#include "server/service/parse_generate.h"
#include "server/service/rpc_call.h"

namespace dyad {

class GenerateStream final : public grpc::ServerWriteReactor<v1::GenerateStreamResponse> {
 public:
  GenerateStream(RpcCall call, GenerationPlan plan);

  // Submits, or ends the call with the refusal. Once.
  void Start();

  // Reactions: on gRPC's threads, which must not wait.
  void OnCancel() override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  // One choice; called from the engine's thread.
  class Sink final : public engine::TokenSink {
   public:
    Sink(GenerateStream& stream, int32_t index);
    bool Wanted() const override { return stream_.wanted_.load(std::memory_order_relaxed); }
    void OnScores(std::span<const engine::TokenScore> scores) override;
    engine::Verdict OnToken(const engine::GeneratedToken& token) override;
    void OnEnd(const engine::Outcome& outcome) override;

    // What was not sent yet; an empty Choice takes its place. Under the stream's mutex_.
    v1::Choice Take();

   private:
    GenerateStream& stream_;
    const int32_t index_;
    ChoiceWriter writer_;
    v1::Choice unsent_;     // under the stream's mutex_
    bool waiting_ = false;  // in the stream's ready_; under its mutex_

    void MarkReady() ABSL_EXCLUSIVE_LOCKS_REQUIRED(stream_.mutex_);
  };

  enum class Call { kNone, kWrite, kWriteAndFinish, kFinish };

  // Picks the one gRPC call that may be made now, if any, and marks it pending.
  Call NextCall() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes the call that was picked, with mutex_ released: gRPC may react at once.
  void Make(Call call) ABSL_LOCKS_EXCLUDED(mutex_);

  const GenerationPlan plan_;
  std::deque<Sink> sinks_;
  std::atomic<bool> wanted_ = true;  // false: the reader has gone, or one sequence failed
  std::atomic<bool> reader_gone_ = false;
  v1::GenerateStreamResponse message_;  // of the write in flight; gRPC reads it until OnWriteDone
  grpc::Status result_;                 // written once, by the call that finishes

  Mutex mutex_;
  RpcCall call_ ABSL_GUARDED_BY(mutex_);
  bool call_pending_ ABSL_GUARDED_BY(mutex_) = false;
  int32_t running_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);  // the first failure of a sequence
  std::deque<int32_t> ready_
      ABSL_GUARDED_BY(mutex_);  // choices with something to send, longest first
};

}  // namespace dyad
