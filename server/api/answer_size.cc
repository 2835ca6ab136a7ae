// Serialized sizes, field by field.
#include "server/api/answer_size.h"

#include <iterator>

#include "server/api/request_error.h"

namespace dyad {
namespace {

// Of a fed token in TextScore: id, scored, logprob, greedy, rank, and offset.
constexpr int64_t kFedTokenBytes = 9;
// Of sum, mean and scored_tokens, where something is scored.
constexpr int64_t kTotalBytes = 20;
// Of a word or region: five numbers and a logprob.
constexpr int64_t kSpanBytes = 2 + 5 * 3 + 9;
// Of a place where a set of ids was asked for.
constexpr int64_t kBoundaryBytes = 8;
// Of an entry in a list of messages: tag and length.
constexpr int64_t kEntryBytes = 2;
// Of id and logprob in TokenLogprob and TopToken.
constexpr int64_t kLogprobBytes = 7;

// Text and bytes of a token.
int64_t TextBytes(const ServedModel& model) {
  return model.tokenizer == nullptr ? 0 : 2 * (kEntryBytes + 1);
}

// One list of competitors.
int64_t TopBytes(const ServedModel& model, int32_t top_n) {
  return top_n * (kEntryBytes + kLogprobBytes + TextBytes(model));
}

}  // namespace

absl::Status CheckAnswerBytes(int64_t bytes, const RequestLimits& limits) {
  if (bytes <= limits.max_send_message_bytes) return absl::OkStatus();
  return TooLarge({"ANSWER_TOO_LARGE", "the answer", bytes, limits.max_send_message_bytes,
                   "--max_send_message_bytes"});
}

int64_t TextScoreBytes(const ServedModel& model, const ScoreInput& input, int32_t top_n) {
  int64_t bytes = input.scored_tokens() * TopBytes(model, top_n);
  if (input.scored_tokens() > 0) bytes += kTotalBytes;
  bytes += kSpanBytes * (std::ssize(input.spans.words) + std::ssize(input.spans.regions));
  if (!input.sets.empty()) bytes += kBoundaryBytes * (std::ssize(input.ids) + 1);
  for (const int32_t id : input.ids) {
    bytes += kFedTokenBytes;
    if (model.tokenizer != nullptr) {
      bytes += kEntryBytes + static_cast<int64_t>(model.tokenizer->TokenBytes(id).size());
    }
  }
  return bytes;
}

int64_t ChoicesBytes(const GenerationPlan& plan) {
  int64_t tokens = plan.request.max_new_tokens;
  int64_t bytes = 0;
  if (plan.echo == Echo::kYes) {
    tokens += static_cast<int64_t>(plan.request.ids.size());
    bytes += static_cast<int64_t>(plan.prompt_text.size());
  }
  bytes += tokens;  // their ids
  if (plan.logprobs.has_value()) {
    bytes += tokens * (kEntryBytes + kLogprobBytes + TextBytes(*plan.model) +
                       TopBytes(*plan.model, *plan.logprobs));
  }
  return plan.choices * bytes;
}

}  // namespace dyad
