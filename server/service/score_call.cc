// One unary Score call.
#include "server/service/score_call.h"

#include <utility>
#include <vector>

#include "server/service/admission.h"
#include "server/service/score_result.h"

namespace dyad {

void ScoreCall::Sink::OnScores(std::span<const engine::TokenScore> scores) {
  const ScoreInput& input = call_.plan_.inputs[item_];
  *call_.response_->mutable_scores(item_) = ToTextScore(*call_.plan_.model, input, scores);
  call_.call_.record().scored_tokens += static_cast<int64_t>(scores.size());
}

engine::Verdict ScoreCall::Sink::OnToken(const engine::GeneratedToken&) {
  return engine::Verdict::kStop;  // nothing is generated
}

void ScoreCall::Sink::OnEnd(const engine::Outcome& outcome) {
  ScoreCall& call = call_;
  call.call_.AddTiming(outcome.timing);
  call.call_.record().cached_tokens += outcome.cached_tokens;
  if (!outcome.status.ok() && call.status_.ok()) {
    call.status_ = outcome.status;
    call.wanted_ = false;  // the other items are of no use
  }
  if (--call.running_ == 0) call.End();
}

ScoreCall::ScoreCall(RpcCall call, ScorePlan plan, v1::ScoreResponse* response)
    : call_(std::move(call)), plan_(std::move(plan)), response_(response) {
  for (size_t i = 0; i < plan_.inputs.size(); ++i) {
    const ScoreInput& input = plan_.inputs[i];
    v1::TextScore& score = *response_->add_scores();
    call_.record().prompt_tokens += static_cast<int64_t>(input.ids.size());
    if (input.scored_tokens() == 0) {
      score = ToTextScore(*plan_.model, input, {});
    } else {
      sinks_.emplace_back(*this, static_cast<int32_t>(i));
    }
  }
  running_ = static_cast<int32_t>(sinks_.size());
}

void ScoreCall::Start() {
  if (sinks_.empty()) return End();
  std::vector<engine::Submission> submissions;
  submissions.reserve(sinks_.size());
  auto sink = sinks_.begin();
  for (const ScoreInput& input : plan_.inputs) {
    if (input.scored_tokens() == 0) continue;
    submissions.push_back({ToEngineRequest(input, plan_.top_n, call_.deadline()), &*sink++});
  }
  const absl::Status refused = Admit(call_.state(), *plan_.model, std::move(submissions));
  if (!refused.ok()) Finish(call_.End(refused));
}

void ScoreCall::OnDone() {
  call_.Report();
  delete this;
}

void ScoreCall::End() {
  response_->set_convention(plan_.row->convention);
  response_->set_request_id(call_.record().request_id);
  response_->set_model(plan_.model->name);
  response_->set_model_digest(plan_.model->info.digest);
  *response_->mutable_usage() = call_.Usage();
  Finish(call_.End(status_));
}

}  // namespace dyad
