// One Score call.
#include "server/api/score_answer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/api/answer_size.h"
#include "server/api/score_result.h"
#include "server/base/status_macros.h"

namespace dyad {

absl::StatusOr<ScorePlan> PlanScore(const v1::ScoreRequest& request, Call& call) {
  if (!request.items().empty()) call.NotePrompt(request.items(0).text());
  absl::StatusOr<ScorePlan> plan = ParseScore(request, call.state().models, call.state().limits);
  if (!plan.ok()) return plan;
  call.SetModel(*plan->model);
  int64_t bytes = 0;
  for (const ScoreInput& input : plan->inputs) {
    bytes += TextScoreBytes(*plan->model, input, plan->top_n);
  }
  RETURN_IF_ERROR(CheckAnswerBytes(bytes, call.state().limits));
  RETURN_IF_ERROR(call.unread().CheckRoom(bytes));
  return plan;
}

void ScoreAnswer::Item::OnScores(std::span<const engine::TokenScore> scores) {
  answer_.SetScore(static_cast<size_t>(index_), scores);
  answer_.call_.record().scored_tokens += static_cast<int64_t>(scores.size());
}

void ScoreAnswer::Item::OnSequenceEnd(const engine::Outcome& outcome) {
  if (!outcome.status.ok() && !answer_.failed_item_.has_value()) answer_.failed_item_ = index_;
}

ScoreAnswer::ScoreAnswer(ScorePlan plan, Call& call,
                         std::function<void(absl::StatusOr<ScorePieces>)> on_end)
    : plan_(std::move(plan)),
      call_(call),
      on_end_(std::move(on_end)),
      sequences_(OnFailure::kAbandonAll, [this] { OnSequencesEnd(); }),
      pieces_(plan_.inputs.size()) {
  for (size_t i = 0; i < plan_.inputs.size(); ++i) {
    const ScoreInput& input = plan_.inputs[i];
    call_.record().prompt_tokens += static_cast<int64_t>(input.ids.size());
    if (input.scored_tokens() == 0) {
      SetScore(i, {});
    } else {
      sequences_.Add(ToEngineRequest(input, plan_.top_n, call_.caller()),
                     items_.emplace_back(*this, static_cast<int32_t>(i)));
    }
  }
}

void ScoreAnswer::Start() {
  absl::Status refused = sequences_.Submit(call_.state(), *plan_.model);
  if (!refused.ok()) std::exchange(on_end_, nullptr)(std::move(refused));
}

void ScoreAnswer::OnSequencesEnd() {
  call_.AddTiming(sequences_.timing());
  call_.record().cached_tokens = sequences_.cached_tokens();
  // Taken out first, as it may destroy this.
  const auto on_end = std::exchange(on_end_, nullptr);
  if (absl::IsInternal(sequences_.status())) {
    return on_end(absl::InternalError(
        absl::StrCat("items[", *failed_item_, "]: ", sequences_.status().message())));
  }
  if (!sequences_.status().ok()) return on_end(sequences_.status());
  v1::ScoreResponse rest;
  rest.set_convention(plan_.row->convention);
  rest.set_request_id(call_.record().request_id);
  rest.set_model(plan_.model->name);
  rest.set_model_digest(plan_.model->info.digest);
  rest.set_arithmetic(plan_.model->info.arithmetic);
  *rest.mutable_usage() = call_.Usage();
  pieces_.push_back(rest.SerializeAsString());
  on_end(std::move(pieces_));
}

void ScoreAnswer::SetScore(size_t index, std::span<const engine::TokenScore> scores) {
  v1::ScoreResponse piece;
  *piece.add_scores() = ToTextScore(*plan_.model, plan_.inputs[index], scores);
  pieces_[index] = piece.SerializeAsString();
}

}  // namespace dyad
