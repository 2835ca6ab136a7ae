// Gathers what the engine says of a Generate call's choices, and hands it out in parts.
#include "server/api/generate_answer.h"

#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "server/api/answer_size.h"
#include "server/api/request_error.h"
#include "server/base/status_macros.h"

namespace dyad {

absl::StatusOr<GenerationPlans> PlanPrompts(std::span<const v1::GenerateRequest> requests,
                                            Call& call) {
  absl::BitGen random;
  const ServerState& state = call.state();
  RpcRecord& record = call.record();
  GenerationPlans plans;
  int64_t bytes = 0;
  for (const v1::GenerateRequest& request : requests) {
    call.NotePrompt(request.text());
    absl::StatusOr<GenerationPlan> plan =
        ParseGenerate(request, state.models, state.limits, absl::Uniform<uint64_t>(random));
    if (!plan.ok()) {
      return requests.size() == 1
                 ? plan.status()
                 : WithFieldNames(plan.status(), [&](std::string_view field) {
                     return absl::StrCat("requests[", plans.size(), "].", std::string(field));
                   });
    }
    call.SetModel(*plan->model);
    bytes += ChoicesBytes(*plan);
    RETURN_IF_ERROR(CheckAnswerBytes(bytes, state.limits));
    const auto tokens = static_cast<int64_t>(plan->request.ids.size());
    record.prompt_tokens += tokens;
    if (plan->request.score_from.has_value()) {
      record.scored_tokens += plan->choices * (tokens - 1);
    }
    plans.push_back(*std::move(plan));
  }
  RETURN_IF_ERROR(call.unread().CheckRoom(bytes));
  return plans;
}

absl::StatusOr<GenerationPlans> PlanGenerate(const v1::GenerateRequest& request, Call& call) {
  return PlanPrompts(std::span(&request, 1), call);
}

GenerateAnswer::ChoiceSequence::ChoiceSequence(GenerateAnswer& answer, const GenerationPlan& plan,
                                               int32_t index)
    : answer_(answer), index_(index), writer_(plan, index), unsent_(writer_.New()) {
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
  }
  // A prompt counts once, whatever the number of its choices.
  if (index_ % answer_.plans_.front().choices == 0) {
    answer_.call_.record().cached_tokens += outcome.cached_tokens;
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

GenerateAnswer::GenerateAnswer(GenerationPlans plans, Call& call, Delivery delivery,
                               std::function<void()> on_ready)
    : plans_(std::move(plans)),
      call_(call),
      delivery_(delivery),
      on_ready_(std::move(on_ready)),
      sequences_(OnFailure::kAbandonAll, [this] {
        call_.AddTiming(sequences_.timing());
        End(sequences_.status());
      }) {
  for (const GenerationPlan& plan : plans_) {
    for (int32_t i = 0; i < plan.choices; ++i) {
      engine::Request request = plan.request;
      request.sampling.choice = i;
      request.deadline = call_.caller().deadline;
      request.client = call_.caller().client;
      const auto index = static_cast<int32_t>(choices_.size());
      sequences_.Add(std::move(request), choices_.emplace_back(*this, plan, index));
    }
  }
}

void GenerateAnswer::Start() {
  const absl::Status refused = sequences_.Submit(call_.state(), *plans_.front().model);
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
  response.set_seed(plans_.front().request.sampling.seed);
  response.set_request_id(call_.record().request_id);
  response.set_model(plans_.front().model->name);
  response.set_model_digest(plans_.front().model->info.digest);
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
    GenerationPlans plans, Call& call,
    std::function<void(absl::StatusOr<v1::GenerateResponse>)> on_end)
    : on_end_(std::move(on_end)),
      answer_(std::move(plans), call, Delivery::kWhole, [this] { Gather(); }) {}

void WholeGenerateAnswer::Gather() {
  while (std::optional<GeneratePart> part = answer_.Next()) {
    if (!part->end.has_value()) {
      const auto index = static_cast<size_t>(part->piece.index());
      if (index >= choices_.size()) choices_.resize(index + 1);
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
