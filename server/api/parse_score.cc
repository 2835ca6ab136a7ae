// Requests to score -> what the engine is asked.
#include "server/api/parse_score.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/api/answer_size.h"
#include "server/api/request_error.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

constexpr int kMaxPairsInMessage = 1024;

absl::StatusOr<ScoreInput> ParseItem(const Layout& layout, const std::string& field,
                                     const v1::ScoreItem& item) {
  const TextField text = {absl::StrCat(field, ".text"), item.text()};
  const TextField context = {absl::StrCat(field, ".context_text"), item.context_text()};
  switch (item.content_case()) {
    case v1::ScoreItem::kText:
      if (item.has_context_ids()) {
        return InvalidField({absl::StrCat(field, ".context_ids"), "set",
                             "must not be mixed with text; give context_text"});
      }
      if (item.has_context_text()) return LayOutAfterContext(layout, context, text);
      return LayOutText(layout, text);
    case v1::ScoreItem::kIds:
      if (item.has_context_text()) {
        return InvalidField({context.name, "set", "must not be mixed with ids; give context_ids"});
      }
      return LayOutIds(layout, field, ToSpan(item.ids().ids()),
                       item.has_context_ids() ? &item.context_ids() : nullptr);
    default:
      return InvalidField({field, "without content", "must have text or ids"});
  }
}

absl::StatusOr<ScoreInput> ParseSentence(const Layout& layout, const v1::MinimalPair& pair,
                                         const TextField& sentence) {
  if (pair.has_context()) return LayOutAfterContext(layout, {"context", pair.context()}, sentence);
  ASSIGN_OR_RETURN(ScoreInput input, LayOutText(layout, sentence));
  if (input.scored_tokens() == 0) return NothingToScore(sentence.name);
  return input;
}

}  // namespace

absl::StatusOr<ScorePlan> ParseScore(const v1::ScoreRequest& proto, const ModelRegistry& models,
                                     const RequestLimits& limits) {
  ScorePlan plan;
  ASSIGN_OR_RETURN(plan.model, models.Find(proto.model()));
  ASSIGN_OR_RETURN(plan.row, FindConvention(proto.convention()));
  ASSIGN_OR_RETURN(const SpecialTokens special_tokens, ParseSpecialTokens(proto.special_tokens()));
  RETURN_IF_ERROR(CheckRange<int32_t>({"top_n", proto.top_n(), 0, engine::kMaxTopN}));
  plan.top_n = proto.top_n();
  if (proto.items().empty() || proto.items_size() > limits.max_score_items) {
    return InvalidField({"items", absl::StrCat(proto.items_size(), " long"),
                         absl::StrCat("must have 1 to ", limits.max_score_items, " entries")});
  }
  const Layout layout = {*plan.model, limits, *plan.row, special_tokens};
  plan.inputs.reserve(proto.items_size());
  for (int i = 0; i < proto.items_size(); ++i) {
    ASSIGN_OR_RETURN(ScoreInput input,
                     ParseItem(layout, absl::StrCat("items[", i, "]"), proto.items(i)));
    plan.inputs.push_back(std::move(input));
  }
  return plan;
}

absl::Status CheckPairCount(const v1::ScoreMinimalPairsRequest& proto) {
  if (proto.pairs_size() <= kMaxPairsInMessage) return absl::OkStatus();
  return InvalidField({"pairs", absl::StrCat(proto.pairs_size(), " long"),
                       absl::StrCat("must have at most ", kMaxPairsInMessage, " entries")});
}

absl::StatusOr<PairOptions> ParsePairOptions(const v1::ScoreMinimalPairsRequest& proto,
                                             const ModelRegistry& models) {
  PairOptions options;
  ASSIGN_OR_RETURN(options.model, models.Find(proto.model()));
  ASSIGN_OR_RETURN(options.row, FindConvention(proto.convention()));
  ASSIGN_OR_RETURN(options.special_tokens, ParseSpecialTokens(proto.special_tokens()));
  RETURN_IF_ERROR(NeedsTokenizer(*options.model));
  options.return_tokens = proto.return_tokens() ? ReturnTokens::kYes : ReturnTokens::kNo;
  return options;
}

absl::Status CheckSameOptions(const v1::ScoreMinimalPairsRequest& proto, const PairOptions& first) {
  const auto differs = [](const char* field, std::string_view value) {
    return InvalidField(
        {field, std::string(value), "must be unset or as in the first message of the stream"});
  };
  if (!proto.model().empty() && proto.model() != first.model->name) {
    return differs("model", proto.model());
  }
  if (proto.convention() != v1::CONVENTION_UNSPECIFIED &&
      proto.convention() != first.row->convention) {
    return differs("convention", absl::StrCat(static_cast<int>(proto.convention())));
  }
  ASSIGN_OR_RETURN(const SpecialTokens special_tokens, ParseSpecialTokens(proto.special_tokens()));
  if (proto.special_tokens() != v1::SPECIAL_TOKENS_UNSPECIFIED &&
      special_tokens != first.special_tokens) {
    return differs("special_tokens", absl::StrCat(static_cast<int>(proto.special_tokens())));
  }
  if (proto.return_tokens() && first.return_tokens == ReturnTokens::kNo) {
    return differs("return_tokens", "true");
  }
  return absl::OkStatus();
}

absl::StatusOr<PairPlan> ParsePair(const v1::MinimalPair& proto, const PairOptions& options,
                                   const RequestLimits& limits) {
  const Layout layout = {*options.model, limits, *options.row, options.special_tokens};
  PairPlan plan;
  plan.index = proto.index();
  ASSIGN_OR_RETURN(plan.good, ParseSentence(layout, proto, {"good", proto.good()}));
  ASSIGN_OR_RETURN(plan.bad, ParseSentence(layout, proto, {"bad", proto.bad()}));
  if (options.return_tokens == ReturnTokens::kYes) {
    RETURN_IF_ERROR(CheckAnswerBytes(
        TextScoreBytes(layout.model, plan.good, 0) + TextScoreBytes(layout.model, plan.bad, 0),
        limits));
  }
  return plan;
}

engine::Request ToEngineRequest(const ScoreInput& input, int32_t top_n, const Caller& caller) {
  engine::Request request;
  request.ids = input.ids;
  request.score_from = input.scored_from;
  request.top_n = top_n;
  request.deadline = caller.deadline;
  request.client = caller.client;
  return request;
}

}  // namespace dyad
