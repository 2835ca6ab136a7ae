// One Score call.
#include "server/api/score_answer.h"

#include <algorithm>
#include <iterator>
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

absl::StatusOr<v1::ScoreResponse> JoinPieces(const ScorePieces& pieces) {
  v1::ScoreResponse response;
  for (const std::string& piece : pieces) {
    if (!response.MergeFromString(piece)) return absl::InternalError("a score cannot be read");
  }
  return response;
}

void ScoreAnswer::Part::OnSequenceEnd(const engine::Outcome& outcome) {
  if (!outcome.status.ok() && !answer_.failed_item_.has_value()) answer_.failed_item_ = item_;
}

void ScoreAnswer::OnPartScores(Part& part, std::span<const engine::TokenScore> scores) {
  const ScoreInput& input = plan_.inputs[static_cast<size_t>(part.item_)];
  Item& item = items_[static_cast<size_t>(part.item_)];
  --item.missing;
  if (item.parts == 1) return SetScore(static_cast<size_t>(part.item_), scores);
  part.scores.assign(scores.begin(), scores.end());
  if (item.missing > 0) return;
  std::vector<engine::TokenScore> all;
  for (size_t p = item.first_part; p < item.first_part + item.parts; ++p) {
    std::vector<engine::TokenScore>& of_part = parts_[p].scores;
    // The place behind a window is the next one's first.
    const bool is_last = p + 1 == item.first_part + item.parts;
    if (!input.sets.empty() && !is_last) of_part.pop_back();
    std::ranges::move(of_part, std::back_inserter(all));
    of_part = {};
  }
  SetScore(static_cast<size_t>(part.item_), all);
}

ScoreAnswer::ScoreAnswer(ScorePlan plan, Call& call,
                         std::function<void(absl::StatusOr<ScorePieces>)> on_end)
    : plan_(std::move(plan)),
      call_(call),
      on_end_(std::move(on_end)),
      sequences_(OnFailure::kAbandonAll, [this] { OnSequencesEnd(); }),
      items_(plan_.inputs.size()),
      pieces_(plan_.inputs.size()) {
  for (size_t i = 0; i < plan_.inputs.size(); ++i) {
    const ScoreInput& input = plan_.inputs[i];
    const std::vector<Window> windows = FedWindows(input);
    items_[i] = {parts_.size(), windows.size(), windows.size()};
    if (windows.empty()) {
      call_.record().prompt_tokens += std::ssize(input.ids);
      SetScore(i, {});
    }
    for (const Window& window : windows) {
      call_.record().prompt_tokens += window.end - window.begin;
      sequences_.Add(ToEngineRequest(*plan_.model, input, window, plan_.top_n, call_.caller()),
                     parts_.emplace_back(*this, static_cast<int32_t>(i)));
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
  call_.record().scored_tokens += plan_.inputs[index].scored_tokens();
  v1::ScoreResponse piece;
  *piece.add_scores() = ToTextScore(*plan_.model, plan_.inputs[index], scores);
  pieces_[index] = piece.SerializeAsString();
}

}  // namespace dyad
