// Requests to score -> what the engine is asked.
#include "server/api/parse_score.h"

#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/api/answer_size.h"
#include "server/api/parse_words.h"
#include "server/api/request_error.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

constexpr int kMaxPairsInMessage = 1024;
constexpr int kMaxOptions = 64;  // of a choice

absl::StatusOr<LaidOut> ParseText(const Layout& layout, const std::string& field,
                                  const v1::ScoreItem& item) {
  const TextField text = {absl::StrCat(field, ".text"), item.text()};
  if (item.has_context_ids()) {
    return InvalidField({absl::StrCat(field, ".context_ids"), "set",
                         "must not be mixed with text; give context_text"});
  }
  if (!item.has_context_text()) return LayOutText(layout, text);
  return LayOutAfterContext(layout, {absl::StrCat(field, ".context_text"), item.context_text()},
                            text);
}

absl::StatusOr<ScoreInput> ParseItem(const Layout& layout, const WordRequest& words,
                                     const std::string& field, const v1::ScoreItem& item) {
  switch (item.content_case()) {
    case v1::ScoreItem::kText: {
      ASSIGN_OR_RETURN(LaidOut input, ParseText(layout, field, item));
      RETURN_IF_ERROR(PlanSpans(layout.model, words, field, item, input));
      return ScoreInput(std::move(input));
    }
    case v1::ScoreItem::kIds:
      if (item.has_context_text()) {
        return InvalidField({absl::StrCat(field, ".context_text"), "set",
                             "must not be mixed with ids; give context_ids"});
      }
      RETURN_IF_ERROR(RefuseSpans(words, field, item));
      return LayOutIds(layout, field, ToSpan(item.ids().ids()),
                       item.has_context_ids() ? &item.context_ids() : nullptr);
    default:
      return InvalidField({field, "without content", "must have text or ids"});
  }
}

// Absent: a text is one window.
absl::StatusOr<std::optional<WindowShape>> ParseWindow(const v1::ScoreRequest& proto,
                                                       int64_t most) {
  if (!proto.has_window()) return std::nullopt;
  const v1::ScoreWindow& window = proto.window();
  WindowShape shape = {window.tokens(), window.stride()};
  if (shape.tokens == 0) shape.tokens = static_cast<int32_t>(most);
  RETURN_IF_ERROR(CheckRange<int64_t>({"window.tokens", shape.tokens, 2, most}));
  if (shape.stride == 0) shape.stride = shape.tokens - 1;
  RETURN_IF_ERROR(CheckRange<int32_t>({"window.stride", shape.stride, 1, shape.tokens - 1}));
  return shape;
}

// Cuts the items into windows, of which there are not too many.
absl::Status CutIntoWindows(const WindowShape& shape, const RequestLimits& limits,
                            std::vector<ScoreInput>& inputs) {
  int64_t count = 0;
  for (ScoreInput& input : inputs) {
    if (input.scored_tokens() > 0) {
      input.windows = WindowsOf(input.scored_from, input.scored_end(), shape);
    }
    count += std::ssize(input.windows);
    if (count <= limits.max_score_items) continue;
    return InvalidField(
        {"window", absl::StrCat("of ", shape.tokens, " tokens and stride ", shape.stride),
         absl::StrCat("must give at most ", limits.max_score_items,
                      " windows in all items together; take a longer stride or fewer items")});
  }
  return absl::OkStatus();
}

absl::StatusOr<ScoreInput> ParseSentence(const Layout& layout, const v1::MinimalPair& pair,
                                         const TextField& sentence) {
  if (pair.has_context()) {
    ASSIGN_OR_RETURN(LaidOut input,
                     LayOutAfterContext(layout, {"context", pair.context()}, sentence));
    return ScoreInput(std::move(input));
  }
  ASSIGN_OR_RETURN(LaidOut input, LayOutText(layout, sentence));
  if (input.scored_tokens() == 0) return NothingToScore(sentence.name);
  return ScoreInput(std::move(input));
}

// With tokens an answer has a size of its own.
absl::Status CheckAnswer(const ComparisonPlan& plan, const PairOptions& options,
                         const RequestLimits& limits) {
  if (options.return_tokens == ReturnTokens::kNo) return absl::OkStatus();
  int64_t bytes = 0;
  for (const ScoreInput& text : plan.texts) bytes += TextScoreBytes(*options.model, text, 0);
  return CheckAnswerBytes(bytes, limits);
}

}  // namespace

absl::StatusOr<ScorePlan> ParseScore(const v1::ScoreRequest& proto, const ModelRegistry& models,
                                     const RequestLimits& limits) {
  ScorePlan plan;
  ASSIGN_OR_RETURN(plan.model, models.Find(proto.model()));
  FieldFaults faults;
  const auto row = FindConvention(proto.convention());
  const auto special_tokens = ParseSpecialTokens(proto.special_tokens());
  RETURN_IF_ERROR(faults.Add(row.status()));
  RETURN_IF_ERROR(faults.Add(special_tokens.status()));
  RETURN_IF_ERROR(faults.Add(CheckRange<int32_t>({"top_n", proto.top_n(), 0, engine::kMaxTopN})));
  if (proto.items().empty() || proto.items_size() > limits.max_score_items) {
    RETURN_IF_ERROR(faults.Add(
        InvalidField({"items", absl::StrCat(proto.items_size(), " long"),
                      absl::StrCat("must have 1 to ", limits.max_score_items, " entries")})));
  }
  const auto words = ParseWordOptions(proto, *plan.model);
  RETURN_IF_ERROR(faults.Add(words.status()));
  const bool corrects = words.ok() && words->correction != v1::WORD_CORRECTION_NONE;
  const int64_t most = MostScoredTokens(*plan.model) - (corrects ? 1 : 0);
  const auto window = ParseWindow(proto, most);
  RETURN_IF_ERROR(faults.Add(window.status()));
  RETURN_IF_ERROR(faults.status());  // how items are laid out hangs on these
  plan.row = *row;
  plan.top_n = proto.top_n();
  const bool is_cut = window->has_value();
  const Layout layout = {*plan.model, limits, *plan.row, *special_tokens,
                         is_cut ? std::numeric_limits<int32_t>::max() : most};
  plan.inputs.reserve(proto.items_size());
  for (int i = 0; i < proto.items_size(); ++i) {
    auto input = ParseItem(layout, *words, absl::StrCat("items[", i, "]"), proto.items(i));
    RETURN_IF_ERROR(faults.Add(input.status()));
    if (input.ok()) plan.inputs.push_back(*std::move(input));
  }
  RETURN_IF_ERROR(faults.status());
  if (is_cut) RETURN_IF_ERROR(CutIntoWindows(**window, limits, plan.inputs));
  return plan;
}

absl::Status CheckPairCount(const v1::ScoreMinimalPairsRequest& proto) {
  const int count = proto.pairs_size() + proto.choice_sets_size();
  if (count <= kMaxPairsInMessage) return absl::OkStatus();
  return InvalidField({proto.choice_sets().empty() ? "pairs" : "pairs and choice_sets",
                       absl::StrCat(count, " long"),
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

absl::StatusOr<ComparisonPlan> ParsePair(const v1::MinimalPair& proto, const PairOptions& options,
                                         const RequestLimits& limits) {
  const Layout layout = {*options.model, limits, *options.row, options.special_tokens};
  ComparisonPlan plan = {.index = proto.index()};
  for (const TextField& sentence : {TextField{"good", proto.good()}, {"bad", proto.bad()}}) {
    ASSIGN_OR_RETURN(plan.texts.emplace_back(), ParseSentence(layout, proto, sentence));
  }
  RETURN_IF_ERROR(CheckAnswer(plan, options, limits));
  return plan;
}

absl::StatusOr<ComparisonPlan> ParseChoice(const v1::ChoiceSet& proto, const PairOptions& options,
                                           const RequestLimits& limits) {
  const Layout layout = {*options.model, limits, *options.row, options.special_tokens};
  ComparisonPlan plan = {.index = proto.index(), .of = ComparisonPlan::Of::kChoice};
  if (proto.options_size() < 2 || proto.options_size() > kMaxOptions) {
    return InvalidField({"options", absl::StrCat(proto.options_size(), " long"),
                         absl::StrCat("must have 2 to ", kMaxOptions, " entries")});
  }
  for (int i = 0; i < proto.options_size(); ++i) {
    const std::string field = absl::StrCat("options[", i, "]");
    ASSIGN_OR_RETURN(plan.texts.emplace_back(), ParseItem(layout, {}, field, proto.options(i)));
    if (plan.texts.back().scored_tokens() == 0) return NothingToScore(field);
  }
  RETURN_IF_ERROR(CheckAnswer(plan, options, limits));
  return plan;
}

std::vector<Window> FedWindows(const ScoreInput& input) {
  if (input.scored_tokens() == 0) return {};
  if (input.windows.empty()) return {{0, input.scored_end(), input.scored_from}};
  return input.windows;
}

engine::Request ToEngineRequest(const ServedModel& model, const ScoreInput& input,
                                const Window& window, int32_t top_n, const Caller& caller) {
  engine::Request request;
  request.ids.assign(input.ids.begin() + window.begin, input.ids.begin() + window.end);
  request.score_from = window.scored_from - window.begin;
  if (!input.sets.empty()) {
    const auto first = input.sets.begin() + (window.scored_from - input.scored_from);
    request.sets.assign(first, first + (window.end - window.scored_from) + 1);
    // The place behind a window is the next one's first.
    if (window.end != input.scored_end()) request.sets.back() = 0;
    request.id_sets = model.word_id_sets;
  }
  request.top_n = top_n;
  request.deadline = caller.deadline;
  request.client = caller.client;
  return request;
}

}  // namespace dyad
