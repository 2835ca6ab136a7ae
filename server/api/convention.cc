// The table of conventions and the layouts.
#include "server/api/convention.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/api/request_error.h"
#include "server/base/status_macros.h"
#include "server/text/character_class.h"
#include "server/text/utf8.h"

namespace dyad {
namespace {

// One row for every name; the default first.
constexpr ConventionRow kTable[] = {
    {v1::CONVENTION_LM_EVAL, LeadingSpace::kYes, InFront::kPrefixId, 1, Reduction::kSum},
    {v1::CONVENTION_BABYLM, LeadingSpace::kNo, InFront::kFrame, 1, Reduction::kSum},
    {v1::CONVENTION_MINICONS_MEAN, LeadingSpace::kNo, InFront::kFrame, 1, Reduction::kMean},
    {v1::CONVENTION_MINICONS_SUM, LeadingSpace::kNo, InFront::kFrame, 1, Reduction::kSum},
    {v1::CONVENTION_CONDITIONAL, LeadingSpace::kNo, InFront::kPrefixId, 1, Reduction::kSum},
};
static_assert(std::size(kTable) == v1::Convention_MAX);

absl::StatusOr<int32_t> PrefixId(const ServedModel& model) {
  if (model.prefix_id.has_value()) return *model.prefix_id;
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        "model ", model.name,
                        " names neither a BOS nor an EOS token, so nothing can stand in front of "
                        "the text; use a convention without prefix, or give a context")),
                    "NO_PREFIX_TOKEN");
}

absl::Status PutPrefix(const Layout& layout, ScoreInput& input) {
  ASSIGN_OR_RETURN(const int32_t prefix_id, PrefixId(layout.model));
  input.ids.insert(input.ids.begin(), prefix_id);
  if (!input.offsets.empty() || input.ids.size() == 1) {
    input.offsets.insert(input.offsets.begin(), 0);
  }
  return absl::OkStatus();
}

absl::Status EncodeInto(const Layout& layout, const std::string& field,
                        const EncodeOptions& options, LaidOut& input) {
  ASSIGN_OR_RETURN(Encoding encoding, EncodeField(layout.model, {field, input.fed}, options));
  input.ids = std::move(encoding.ids);
  input.offsets = std::move(encoding.offsets);
  input.is_normalized = encoding.is_normalized;
  return absl::OkStatus();
}

// The last step of every layout.
absl::Status Check(const Layout& layout, const std::string& field, ScoreInput& input) {
  if (input.ids.empty()) {
    return InvalidField(
        {field, "empty", "must give at least one token, as nothing is put in front of it"});
  }
  if (std::ssize(input.ids) > layout.max_tokens) {
    const int32_t context = layout.model.limits.context_length;
    return InvalidField(
        {field, absl::StrCat(input.ids.size(), " tokens"),
         absl::StrCat("must fit the model's context of ", context, " tokens",
                      layout.max_tokens > context ? ", and one that is only scored" : ""),
         kContextLengthExceeded});
  }
  input.scored_from = std::clamp(input.scored_from, 1, static_cast<int32_t>(input.ids.size()));
  return absl::OkStatus();
}

// The same of something that must leave a token to score.
absl::Status CheckScored(const Layout& layout, const std::string& field, ScoreInput& input) {
  RETURN_IF_ERROR(Check(layout, field, input));
  return input.scored_tokens() == 0 ? NothingToScore(field) : absl::OkStatus();
}

}  // namespace

absl::StatusOr<const ConventionRow*> FindConvention(v1::Convention convention) {
  if (convention == v1::CONVENTION_UNSPECIFIED) return &kTable[0];
  for (const ConventionRow& row : kTable) {
    if (row.convention == convention) return &row;
  }
  return InvalidField({"convention", absl::StrCat(static_cast<int>(convention)),
                       absl::StrCat("must be in [0, ", v1::Convention_MAX, "]")});
}

absl::StatusOr<LaidOut> LayOutText(const Layout& layout, const TextField& text) {
  RETURN_IF_ERROR(CheckBytes(layout.limits, text));
  LaidOut input;
  if (layout.row.leading_space == LeadingSpace::kYes) input.fed.push_back(' ');
  input.own_begin = static_cast<int32_t>(input.fed.size());
  input.fed += text.text;
  EncodeOptions options;
  options.frame = layout.row.in_front == InFront::kFrame ? Frame::kDefault : Frame::kNone;
  options.special_tokens = layout.special_tokens;
  RETURN_IF_ERROR(EncodeInto(layout, text.name, options, input));
  input.scored_from = layout.row.scored_from;
  if (layout.row.in_front == InFront::kPrefixId) RETURN_IF_ERROR(PutPrefix(layout, input));
  if (text.text.empty()) {
    RETURN_IF_ERROR(Check(layout, text.name, input));
  } else {
    RETURN_IF_ERROR(CheckScored(layout, text.name, input));
  }
  return input;
}

absl::StatusOr<LaidOut> LayOutAfterContext(const Layout& layout, const TextField& context,
                                           const TextField& text) {
  RETURN_IF_ERROR(CheckBytes(layout.limits, context));
  RETURN_IF_ERROR(CheckBytes(layout.limits, text));
  const std::string_view kept =
      context.text.substr(0, context.text.size() - TrailingBlankBytes(context.text));
  LaidOut input;
  input.fed = std::string(context.text);
  input.fed += text.text;
  input.own_begin = static_cast<int32_t>(context.text.size());
  const EncodeOptions options = {Frame::kNone, layout.special_tokens};
  RETURN_IF_ERROR(EncodeInto(layout, text.name, options, input));
  if (kept.empty()) {
    RETURN_IF_ERROR(PutPrefix(layout, input));
  } else {
    ASSIGN_OR_RETURN(const Encoding front,
                     EncodeField(layout.model, {context.name, kept}, options));
    input.scored_from = static_cast<int32_t>(std::min(front.ids.size(), input.ids.size()));
  }
  RETURN_IF_ERROR(CheckScored(layout, text.name, input));
  return input;
}

absl::StatusOr<ScoreInput> LayOutIds(const Layout& layout, const std::string& field,
                                     std::span<const int32_t> ids, const v1::TokenIds* context) {
  const std::string ids_field = absl::StrCat(field, ".ids");
  ScoreInput input;
  if (context != nullptr && context->ids().empty()) {
    RETURN_IF_ERROR(PutPrefix(layout, input));
    input.offsets.clear();
  } else if (context != nullptr) {
    input.ids.assign(context->ids().begin(), context->ids().end());
    RETURN_IF_ERROR(CheckIds(layout.model, absl::StrCat(field, ".context_ids"), input.ids));
    input.scored_from = static_cast<int32_t>(input.ids.size());
  }
  RETURN_IF_ERROR(CheckIds(layout.model, ids_field, ids));
  input.ids.insert(input.ids.end(), ids.begin(), ids.end());
  if (context != nullptr) {
    RETURN_IF_ERROR(CheckScored(layout, ids_field, input));
  } else {
    RETURN_IF_ERROR(Check(layout, ids_field, input));
  }
  return input;
}

absl::Status NothingToScore(const std::string& field) {
  return InvalidField({field, "left without a token to score",
                       "the first token fed and the context's own are not scored"});
}

size_t TrailingBlankBytes(std::string_view text) {
  size_t kept = 0;
  for (size_t end = 0; end < text.size();) {
    const Utf8Step step = ReadUtf8(text.substr(end));
    end += static_cast<size_t>(step.length);
    if (step.state != Utf8State::kValid || !IsPythonSpace(step.code_point)) kept = end;
  }
  return text.size() - kept;
}

}  // namespace dyad
