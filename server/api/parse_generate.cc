// GenerateRequest -> what the engine is asked.
#include "server/api/parse_generate.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/api/parse_request.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

constexpr int32_t kDefaultNewTokens = 16;
constexpr int kMaxStops = 16;
constexpr size_t kMaxStopBytes = 256;
constexpr int kMaxStopIds = 64;
constexpr int kMaxBiases = 1024;

absl::StatusOr<std::vector<int32_t>> ParsePrompt(const v1::GenerateRequest& proto,
                                                 const ServedModel& model,
                                                 const RequestLimits& limits) {
  ASSIGN_OR_RETURN(const SpecialTokens special_tokens, ParseSpecialTokens(proto.special_tokens()));
  switch (proto.prompt_case()) {
    case v1::GenerateRequest::kText: {
      const TextField text = {"text", proto.text()};
      const bool adds = !proto.has_add_special_tokens() || proto.add_special_tokens();
      const Frame frame = adds ? Frame::kDefault : Frame::kNone;
      RETURN_IF_ERROR(CheckBytes(limits, text));
      ASSIGN_OR_RETURN(Encoding encoding, EncodeField(model, text, {frame, special_tokens}));
      if (encoding.ids.empty()) {
        return InvalidField({"text", "empty", "must give at least one token with this tokenizer"});
      }
      return std::move(encoding.ids);
    }
    case v1::GenerateRequest::kIds: {
      if (proto.ids().ids().empty()) {
        return InvalidField({"ids", "empty", "must have at least one id"});
      }
      RETURN_IF_ERROR(CheckIds(model, "ids", ToSpan(proto.ids().ids())));
      return std::vector<int32_t>(proto.ids().ids().begin(), proto.ids().ids().end());
    }
    default:
      return InvalidField({"prompt", "absent", "must be given as text or ids"});
  }
}

absl::StatusOr<int32_t> ParseNewTokens(const v1::GenerateRequest& proto, const ServedModel& model,
                                       size_t prompt_tokens) {
  const auto room = int64_t{model.limits.context_length} - static_cast<int64_t>(prompt_tokens);
  const std::string limit =
      absl::StrCat("prompt (", prompt_tokens, ") and continuation must fit the model's context of ",
                   model.limits.context_length, " tokens");
  // Only scores: nothing has to fit behind the prompt.
  const bool is_scored_only =
      proto.echo() && proto.has_max_new_tokens() && proto.max_new_tokens() == 0;
  if (room < (is_scored_only ? 0 : 1)) {
    return InvalidField({proto.has_ids() ? "ids" : "text", absl::StrCat(prompt_tokens, " tokens"),
                         limit, kContextLengthExceeded});
  }
  if (is_scored_only) return 0;
  if (!proto.has_max_new_tokens()) {
    return static_cast<int32_t>(std::min<int64_t>(room, kDefaultNewTokens));
  }
  const int32_t asked = proto.max_new_tokens();
  if (asked < 1) {
    return InvalidField(
        {"max_new_tokens", absl::StrCat(asked), "must be at least 1, or 0 with echo"});
  }
  if (asked > room) {
    return InvalidField({"max_new_tokens", absl::StrCat(asked), limit, kContextLengthExceeded});
  }
  return asked;
}

absl::StatusOr<engine::Sampling> ParseSampling(const v1::GenerateRequest& proto,
                                               const ServedModel& model) {
  engine::Sampling s;
  FieldFaults faults;
  if (proto.has_temperature()) s.temperature = proto.temperature();
  if (proto.has_top_k()) s.top_k = proto.top_k();
  if (proto.has_top_p()) s.top_p = proto.top_p();
  if (proto.has_min_p()) s.min_p = proto.min_p();
  if (proto.has_repetition_penalty()) s.repetition_penalty = proto.repetition_penalty();
  if (proto.has_presence_penalty()) s.presence_penalty = proto.presence_penalty();
  if (proto.has_frequency_penalty()) s.frequency_penalty = proto.frequency_penalty();
  RETURN_IF_ERROR(faults.Add(CheckRange<float>({"temperature", s.temperature, 0, 100})));
  RETURN_IF_ERROR(faults.Add(CheckRange<int32_t>({"top_k", s.top_k, 0, INT32_MAX})));
  RETURN_IF_ERROR(faults.Add(CheckRange<float>({"top_p", s.top_p, 0, 1}, Bounds::kOpenLow)));
  RETURN_IF_ERROR(faults.Add(CheckRange<float>({"min_p", s.min_p, 0, 1}, Bounds::kOpenHigh)));
  RETURN_IF_ERROR(faults.Add(
      CheckRange<float>({"repetition_penalty", s.repetition_penalty, 0, 10}, Bounds::kOpenLow)));
  RETURN_IF_ERROR(faults.Add(CheckRange<float>({"presence_penalty", s.presence_penalty, -2, 2})));
  RETURN_IF_ERROR(faults.Add(CheckRange<float>({"frequency_penalty", s.frequency_penalty, -2, 2})));
  if (proto.logit_bias().size() > kMaxBiases) {
    RETURN_IF_ERROR(
        faults.Add(InvalidField({"logit_bias", absl::StrCat(proto.logit_bias().size(), " long"),
                                 absl::StrCat("must have at most ", kMaxBiases, " entries")})));
  }
  s.logit_bias.assign(proto.logit_bias().begin(), proto.logit_bias().end());
  std::sort(s.logit_bias.begin(), s.logit_bias.end());  // a map has no order of its own
  for (const auto& [id, bias] : s.logit_bias) {
    RETURN_IF_ERROR(
        faults.Add(CheckRange<int32_t>({"logit_bias key", id, 0, model.limits.vocab_size - 1})));
    RETURN_IF_ERROR(
        faults.Add(CheckRange<float>({absl::StrCat("logit_bias[", id, "]"), bias, -100, 100})));
  }
  RETURN_IF_ERROR(faults.status());
  return s;
}

absl::Status CheckStops(const v1::GenerateRequest& proto, const ServedModel& model) {
  FieldFaults faults;
  if (!proto.stop().empty()) RETURN_IF_ERROR(NeedsTokenizer(model));
  if (proto.stop_size() > kMaxStops) {
    RETURN_IF_ERROR(
        faults.Add(InvalidField({"stop", absl::StrCat(proto.stop_size(), " long"),
                                 absl::StrCat("must have at most ", kMaxStops, " entries")})));
  }
  for (int i = 0; i < proto.stop_size(); ++i) {
    if (!proto.stop(i).empty() && proto.stop(i).size() <= kMaxStopBytes) continue;
    RETURN_IF_ERROR(faults.Add(
        InvalidField({absl::StrCat("stop[", i, "]"), absl::StrCat(proto.stop(i).size(), " bytes"),
                      absl::StrCat("must have 1 to ", kMaxStopBytes, " bytes")})));
  }
  if (proto.stop_ids_size() > kMaxStopIds) {
    RETURN_IF_ERROR(
        faults.Add(InvalidField({"stop_ids", absl::StrCat(proto.stop_ids_size(), " long"),
                                 absl::StrCat("must have at most ", kMaxStopIds, " entries")})));
  }
  RETURN_IF_ERROR(faults.Add(CheckIds(model, "stop_ids", ToSpan(proto.stop_ids()))));
  return faults.status();
}

// The prompt and how much may follow it.
struct Tokens {
  std::vector<int32_t> prompt;
  int32_t max_new = 0;
};
absl::StatusOr<Tokens> ParseTokens(const v1::GenerateRequest& proto, const ServedModel& model,
                                   const RequestLimits& limits) {
  Tokens tokens;
  ASSIGN_OR_RETURN(tokens.prompt, ParsePrompt(proto, model, limits));
  ASSIGN_OR_RETURN(tokens.max_new, ParseNewTokens(proto, model, tokens.prompt.size()));
  return tokens;
}

}  // namespace

absl::StatusOr<GenerationPlan> ParseGenerate(const v1::GenerateRequest& proto,
                                             const ModelRegistry& models,
                                             const RequestLimits& limits, uint64_t seed) {
  GenerationPlan plan;
  ASSIGN_OR_RETURN(plan.model, models.Find(proto.model()));
  engine::Request& request = plan.request;
  FieldFaults faults;
  const absl::StatusOr<engine::Sampling> sampling = ParseSampling(proto, *plan.model);
  RETURN_IF_ERROR(faults.Add(sampling.status()));
  RETURN_IF_ERROR(faults.Add(CheckStops(proto, *plan.model)));
  plan.choices = proto.has_n() ? proto.n() : 1;
  RETURN_IF_ERROR(faults.Add(CheckRange<int32_t>({"n", plan.choices, 1, limits.max_choices})));
  if (proto.has_logprobs()) {
    RETURN_IF_ERROR(
        faults.Add(CheckRange<int32_t>({"logprobs", proto.logprobs(), 0, engine::kMaxTopN})));
    plan.logprobs = proto.logprobs();
    request.top_n = proto.logprobs();
  }
  absl::StatusOr<Tokens> tokens = ParseTokens(proto, *plan.model, limits);
  RETURN_IF_ERROR(faults.Add(tokens.status()));
  RETURN_IF_ERROR(faults.status());

  request.ids = std::move(tokens->prompt);
  request.max_new_tokens = tokens->max_new;
  request.sampling = *sampling;
  request.sampling.seed = proto.has_seed() ? proto.seed() : seed;
  request.stop_ids.assign(proto.stop_ids().begin(), proto.stop_ids().end());
  if (!proto.ignore_eos()) request.eos_ids = plan.model->eos_ids;
  plan.stop.assign(proto.stop().begin(), proto.stop().end());
  if (proto.echo()) {
    plan.echo = Echo::kYes;
    if (plan.logprobs.has_value()) request.score_from = 0;
    if (proto.has_text()) plan.prompt_text = proto.text();
    if (proto.has_ids() && plan.model->tokenizer != nullptr) {
      plan.prompt_text = plan.model->tokenizer->Decode(request.ids, DecodeSpecial::kSkip);
    }
  }
  return plan;
}

}  // namespace dyad
