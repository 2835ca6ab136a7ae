// One sequence's results -> Choice.
#include "server/api/choice_writer.h"

#include <vector>

#include "server/api/token_result.h"

namespace dyad {
namespace {

v1::FinishReason ToProto(engine::FinishReason reason) {
  switch (reason) {
    case engine::FinishReason::kLength:
      return v1::FINISH_REASON_LENGTH;
    case engine::FinishReason::kEos:
      return v1::FINISH_REASON_EOS;
    case engine::FinishReason::kStop:
      return v1::FINISH_REASON_STOP;
    case engine::FinishReason::kNone:
      return v1::FINISH_REASON_UNSPECIFIED;
  }
  return v1::FINISH_REASON_UNSPECIFIED;
}

}  // namespace

ChoiceWriter::ChoiceWriter(const GenerationPlan& plan, int32_t index) : plan_(plan), index_(index) {
  if (plan.model->tokenizer != nullptr) decoder_.emplace(*plan.model->tokenizer, plan.stop);
}

v1::Choice ChoiceWriter::New() const {
  v1::Choice choice;
  choice.set_index(index_);
  return choice;
}

void ChoiceWriter::AddPrompt(v1::Choice& choice) const {
  if (plan_.echo == Echo::kNo) return;
  choice.mutable_ids()->Add(plan_.request.ids.begin(), plan_.request.ids.end());
  choice.mutable_text()->append(plan_.prompt_text);
  if (plan_.logprobs.has_value() && plan_.request.ids.size() == 1) AddPromptScores({}, choice);
}

void ChoiceWriter::AddPromptScores(std::span<const engine::TokenScore> scores,
                                   v1::Choice& choice) const {
  const std::vector<int32_t>& ids = plan_.request.ids;
  *choice.add_logprobs() = ToTokenLogprob(*plan_.model, {ids.front(), 0}, {});
  for (size_t i = 0; i < scores.size(); ++i) {
    *choice.add_logprobs() =
        ToTokenLogprob(*plan_.model, {ids[i + 1], scores[i].logprob}, scores[i].top);
  }
}

engine::Verdict ChoiceWriter::AddToken(const engine::GeneratedToken& token, v1::Choice& choice) {
  choice.add_ids(token.id);
  last_id_ = token.id;
  if (plan_.logprobs.has_value()) {
    *choice.add_logprobs() = ToTokenLogprob(*plan_.model, {token.id, token.logprob}, token.top);
  }
  if (!decoder_.has_value() || stopped_) return engine::Verdict::kContinue;
  const StreamDecoder::Piece piece = decoder_->Push(token.id);
  choice.mutable_text()->append(piece.text);
  stopped_ = piece.stopped;
  return stopped_ ? engine::Verdict::kStop : engine::Verdict::kContinue;
}

void ChoiceWriter::AddEnd(engine::FinishReason reason, v1::Choice& choice) {
  if (decoder_.has_value() && !stopped_) {
    const StreamDecoder::Piece piece = decoder_->Finish();
    choice.mutable_text()->append(piece.text);
    if (piece.stopped) reason = engine::FinishReason::kStop;
  }
  // Of a prompt that is only scored the engine names no reason.
  if (reason == engine::FinishReason::kNone) reason = engine::FinishReason::kLength;
  choice.set_finish_reason(ToProto(reason));
  if (reason != engine::FinishReason::kStop) return;
  if (decoder_.has_value() && !decoder_->stop().empty()) {
    choice.set_stop_string(decoder_->stop());
  } else {
    choice.set_stop_id(last_id_);
  }
}

std::string_view FinishReasonName(engine::FinishReason reason) {
  switch (reason) {
    case engine::FinishReason::kLength:
      return "length";
    case engine::FinishReason::kEos:
      return "eos";
    case engine::FinishReason::kStop:
      return "stop";
    case engine::FinishReason::kNone:
      return "";
  }
  return "";
}

}  // namespace dyad
