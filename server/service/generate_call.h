// One unary Generate call: its choices are sequences of one engine, and the answer is sent when the
// last one has ended.
//
// No lock: after Submit only the engine's thread touches choices, response and record, until it
// calls Finish. Lifetime: deletes itself in OnDone, which gRPC calls only after Finish, and Finish
// waits for every sequence's OnEnd; after Finish nothing here is touched.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <deque>

#include "absl/status/status.h"
#include "dyad/v1/generation.pb.h"
#include "server/engine/request.h"
#include "server/service/choice_writer.h"
#include "server/service/parse_generate.h"
#include "server/service/rpc_call.h"

namespace dyad {

class GenerateCall final : public grpc::ServerUnaryReactor {
 public:
  // `response` lives as long as the call.
  GenerateCall(RpcCall call, GenerationPlan plan, v1::GenerateResponse* response);

  // Submits, or ends the call with the refusal. Once.
  void Start();

  void OnCancel() override { wanted_ = false; }
  void OnDone() override;

 private:
  class Sink final : public engine::TokenSink {
   public:
    Sink(GenerateCall& call, int32_t index);
    bool Wanted() const override { return call_.wanted_.load(std::memory_order_relaxed); }
    void OnScores(std::span<const engine::TokenScore> scores) override;
    engine::Verdict OnToken(const engine::GeneratedToken& token) override;
    void OnEnd(const engine::Outcome& outcome) override;

   private:
    GenerateCall& call_;
    const int32_t index_;
    ChoiceWriter writer_;
    v1::Choice& choice_;
  };

  void OnSequenceEnd(const engine::Outcome& outcome);

  RpcCall call_;
  const GenerationPlan plan_;
  v1::GenerateResponse* const response_;
  std::deque<Sink> sinks_;
  int32_t running_ = 0;
  absl::Status status_;              // the first failure of a sequence
  std::atomic<bool> wanted_ = true;  // false: the client has gone, or one sequence failed
};

// What both forms of the answer say besides choices.
void FillSummary(const GenerationPlan& plan, RpcCall& call, v1::GenerateResponse& response);

// The engine's submissions for all choices; sinks(i) is the sink of choice i.
template <typename Sinks>
std::vector<engine::Submission> ToSubmissions(const GenerationPlan& plan, absl::Time deadline,
                                              Sinks& sinks) {
  std::vector<engine::Submission> submissions;
  submissions.reserve(sinks.size());
  for (int32_t i = 0; i < plan.choices; ++i) {
    engine::Request request = plan.request;
    request.sampling.choice = i;
    request.deadline = deadline;
    submissions.push_back({std::move(request), &sinks[i]});
  }
  return submissions;
}

}  // namespace dyad
