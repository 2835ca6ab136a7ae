// Gathers what the engine says of a Generate call's choices, and hands it out in parts.
#include "server/api/generate_answer.h"

#include <utility>

#include "absl/random/random.h"
#include "server/api/answer_size.h"
#include "server/base/status_macros.h"

namespace dyad {

absl::StatusOr<GenerationPlan> PlanGenerate(const v1::GenerateRequest& request, Call& call) {
  call.NotePrompt(request.text());
  absl::BitGen random;
  const ServerState& state = call.state();
  absl::StatusOr<GenerationPlan> plan =
      ParseGenerate(request, state.models, state.limits, absl::Uniform<uint64_t>(random));
  if (!plan.ok()) return plan;
  call.SetModel(*plan->model);
  const int64_t bytes = ChoicesBytes(*plan);
  RETURN_IF_ERROR(CheckAnswerBytes(bytes, state.limits));
  RETURN_IF_ERROR(call.unread().CheckRoom(bytes));
  call.record().prompt_tokens = static_cast<int64_t>(plan->request.ids.size());
  if (plan->request.score_from.has_value()) {
    call.record().scored_tokens = plan->choices * (call.record().prompt_tokens - 1);
  }
  return plan;
}

GenerateAnswer::ChoiceSequence::ChoiceSequence(GenerateAnswer& answer, int32_t index)
    : answer_(answer), index_(index), writer_(answer.plan_, index), unsent_(writer_.New()) {
  writer_.AddPrompt(unsent_);
}

void GenerateAnswer::ChoiceSequence::OnScores(std::span<const engine::TokenScore> scores) {
  // Leaves with the first token, which comes in the same step.
  MutexLock lock(&answer_.mutex_);
  if (answer_.abandoned_) return;
  writer_.AddPromptScores(scores, unsent_);
  Count(unsent_.SpaceUsedLong());
}

engine::Verdict GenerateAnswer::ChoiceSequence::OnToken(const engine::GeneratedToken& token) {
  ++answer_.call_.record().generated_tokens;
  engine::Verdict verdict;
  bool wakes_writer = false;
  {
    MutexLock lock(&answer_.mutex_);
    if (answer_.abandoned_) return engine::Verdict::kContinue;
    const size_t text_bytes = unsent_.text().size();
    verdict = writer_.AddToken(token, unsent_);
    const auto& logprobs = unsent_.logprobs();
    Count(sizeof(token.id) + unsent_.text().size() - text_bytes +
          (logprobs.empty() ? 0 : logprobs.rbegin()->SpaceUsedLong()));
    if (answer_.delivery_ == Delivery::kPieces) {
      MarkReady();
      wakes_writer = answer_.WakesWriter();
    }
  }
  if (wakes_writer) answer_.on_ready_();
  return verdict;
}

void GenerateAnswer::ChoiceSequence::OnSequenceEnd(const engine::Outcome& outcome) {
  if (index_ == 0) {
    answer_.call_.record().finish_reason = FinishReasonName(outcome.reason);
    answer_.call_.record().cached_tokens = outcome.cached_tokens;
  }
  if (!outcome.status.ok()) return;
  bool wakes_writer;
  {
    MutexLock lock(&answer_.mutex_);
    writer_.AddEnd(outcome.reason, unsent_);
    MarkReady();
    wakes_writer = answer_.WakesWriter();
  }
  if (wakes_writer) answer_.on_ready_();
}

v1::Choice GenerateAnswer::ChoiceSequence::Take() {
  waiting_ = false;
  answer_.call_.unread().Remove(std::exchange(unsent_bytes_, 0));
  return std::exchange(unsent_, writer_.New());
}

void GenerateAnswer::ChoiceSequence::MarkReady() {
  if (std::exchange(waiting_, true)) return;
  answer_.ready_.push_back(index_);
}

void GenerateAnswer::ChoiceSequence::Count(size_t bytes) {
  if (answer_.delivery_ == Delivery::kWhole) return;
  const absl::Status added = answer_.call_.unread().Add(static_cast<int64_t>(bytes));
  if (added.ok()) {
    unsent_bytes_ += static_cast<int64_t>(bytes);
    return;
  }
  answer_.no_room_ = added;
  answer_.DropPieces();
}

GenerateAnswer::GenerateAnswer(GenerationPlan plan, Call& call, Delivery delivery,
                               std::function<void()> on_ready)
    : plan_(std::move(plan)),
      call_(call),
      delivery_(delivery),
      on_ready_(std::move(on_ready)),
      sequences_(OnFailure::kAbandonAll, [this] {
        call_.AddTiming(sequences_.timing());
        End(sequences_.status());
      }) {
  for (int32_t i = 0; i < plan_.choices; ++i) {
    engine::Request request = plan_.request;
    request.sampling.choice = i;
    request.deadline = call_.caller().deadline;
    request.client = call_.caller().client;
    sequences_.Add(std::move(request), choices_.emplace_back(*this, i));
  }
}

void GenerateAnswer::Start() {
  const absl::Status refused = sequences_.Submit(call_.state(), *plan_.model);
  if (!refused.ok()) End(refused);
}

void GenerateAnswer::Abandon() {
  MutexLock lock(&mutex_);
  DropPieces();
}

void GenerateAnswer::DropPieces() {
  sequences_.Abandon();
  abandoned_ = true;
  for (ChoiceSequence& choice : choices_) choice.Take();
}

std::optional<GeneratePart> GenerateAnswer::Next() {
  MutexLock lock(&mutex_);
  if (HasPiece()) {
    GeneratePart part{choices_[ready_.front()].Take(), std::nullopt};
    ready_.pop_front();
    return part;
  }
  if (end_.has_value()) return GeneratePart{{}, end_};
  writer_waits_ = true;
  return std::nullopt;
}

v1::GenerateResponse GenerateAnswer::Summary() const {
  v1::GenerateResponse response;
  response.set_seed(plan_.request.sampling.seed);
  response.set_request_id(call_.record().request_id);
  response.set_model(plan_.model->name);
  response.set_model_digest(plan_.model->info.digest);
  *response.mutable_usage() = call_.Usage();
  return response;
}

void GenerateAnswer::End(const absl::Status& status) {
  bool wakes_writer;
  {
    MutexLock lock(&mutex_);
    end_ = no_room_.ok() ? status : no_room_;
    wakes_writer = WakesWriter();
  }
  if (wakes_writer) on_ready_();
}

bool GenerateAnswer::WakesWriter() {
  if (!HasPiece() && !end_.has_value()) return false;
  return std::exchange(writer_waits_, false);
}

WholeGenerateAnswer::WholeGenerateAnswer(
    GenerationPlan plan, Call& call,
    std::function<void(absl::StatusOr<v1::GenerateResponse>)> on_end)
    : on_end_(std::move(on_end)),
      choices_(plan.choices),
      answer_(std::move(plan), call, Delivery::kWhole, [this] { Gather(); }) {}

void WholeGenerateAnswer::Gather() {
  while (std::optional<GeneratePart> part = answer_.Next()) {
    if (!part->end.has_value()) {
      const int32_t index = part->piece.index();
      choices_[index] = std::move(part->piece);
      continue;
    }
    // Taken out first, as it may destroy this.
    const auto on_end = std::exchange(on_end_, nullptr);
    if (!part->end->ok()) return on_end(*part->end);
    v1::GenerateResponse response = answer_.Summary();
    response.mutable_choices()->Reserve(static_cast<int>(choices_.size()));
    for (v1::Choice& choice : choices_) *response.add_choices() = std::move(choice);
    return on_end(std::move(response));
  }
}

}  // namespace dyad
