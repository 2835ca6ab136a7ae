// One unary Score call: each item is a sequence of one engine, and the answer is sent when the last
// one has ended. Threads and lifetime as GenerateCall.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <deque>

#include "absl/status/status.h"
#include "dyad/v1/scoring.pb.h"
#include "server/engine/request.h"
#include "server/service/parse_score.h"
#include "server/service/rpc_call.h"

namespace dyad {

class ScoreCall final : public grpc::ServerUnaryReactor {
 public:
  // `response` lives as long as the call.
  ScoreCall(RpcCall call, ScorePlan plan, v1::ScoreResponse* response);

  // Submits what is to be scored, or ends the call with the refusal. Once.
  void Start();

  void OnCancel() override { wanted_ = false; }
  void OnDone() override;

 private:
  class Sink final : public engine::TokenSink {
   public:
    Sink(ScoreCall& call, int32_t item) : call_(call), item_(item) {}
    bool Wanted() const override { return call_.wanted_.load(std::memory_order_relaxed); }
    void OnScores(std::span<const engine::TokenScore> scores) override;
    engine::Verdict OnToken(const engine::GeneratedToken&) override;
    void OnEnd(const engine::Outcome& outcome) override;

   private:
    ScoreCall& call_;
    const int32_t item_;
  };

  void End();

  RpcCall call_;
  const ScorePlan plan_;
  v1::ScoreResponse* const response_;
  std::deque<Sink> sinks_;  // of the items that have something to score
  int32_t running_ = 0;
  absl::Status status_;              // the first failure of a sequence
  std::atomic<bool> wanted_ = true;  // false: the client has gone, or one sequence failed
};

}  // namespace dyad
