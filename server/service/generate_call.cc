// One unary Generate call.
#include "server/service/generate_call.h"

#include <utility>

#include "server/service/admission.h"

namespace dyad {

GenerateCall::Sink::Sink(GenerateCall& call, int32_t index)
    : call_(call),
      index_(index),
      writer_(call.plan_, index),
      choice_(*call.response_->mutable_choices(index)) {
  choice_ = writer_.New();
  writer_.AddPrompt(choice_);
}

void GenerateCall::Sink::OnScores(std::span<const engine::TokenScore> scores) {
  writer_.AddPromptScores(scores, choice_);
}

engine::Verdict GenerateCall::Sink::OnToken(const engine::GeneratedToken& token) {
  ++call_.call_.record().generated_tokens;
  return writer_.AddToken(token, choice_);
}

void GenerateCall::Sink::OnEnd(const engine::Outcome& outcome) {
  writer_.AddEnd(outcome.reason, choice_);
  if (index_ == 0) {
    call_.call_.record().finish_reason = FinishReasonName(outcome.reason);
    call_.call_.record().cached_tokens = outcome.cached_tokens;
  }
  call_.OnSequenceEnd(outcome);
}

GenerateCall::GenerateCall(RpcCall call, GenerationPlan plan, v1::GenerateResponse* response)
    : call_(std::move(call)), plan_(std::move(plan)), response_(response), running_(plan_.choices) {
  response_->mutable_choices()->Reserve(plan_.choices);
  for (int32_t i = 0; i < plan_.choices; ++i) {
    response_->add_choices();
    sinks_.emplace_back(*this, i);
  }
}

void GenerateCall::Start() {
  absl::Status refused =
      Admit(call_.state(), *plan_.model, ToSubmissions(plan_, call_.deadline(), sinks_));
  if (!refused.ok()) Finish(call_.End(refused));
}

void GenerateCall::OnSequenceEnd(const engine::Outcome& outcome) {
  call_.AddTiming(outcome.timing);
  if (!outcome.status.ok() && status_.ok()) {
    status_ = outcome.status;
    wanted_ = false;  // the other choices are of no use
  }
  if (--running_ > 0) return;
  FillSummary(plan_, call_, *response_);
  Finish(call_.End(status_));
}

void GenerateCall::OnDone() {
  call_.Report();
  delete this;
}

void FillSummary(const GenerationPlan& plan, RpcCall& call, v1::GenerateResponse& response) {
  response.set_seed(plan.request.sampling.seed);
  response.set_request_id(call.record().request_id);
  response.set_model(plan.model->name);
  response.set_model_digest(plan.model->info.digest);
  *response.mutable_usage() = call.Usage();
}

}  // namespace dyad
