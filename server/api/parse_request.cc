// Checks that several requests share.
#include "server/api/parse_request.h"

#include <utility>

namespace dyad {

absl::Status NeedsTokenizer(const ServedModel& model) {
  if (model.tokenizer != nullptr) return absl::OkStatus();
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        "model ", model.name, " has no tokenizer files and serves token ids only")),
                    "NO_TOKENIZER");
}

absl::Status CheckBytes(const RequestLimits& limits, const TextField& field) {
  const auto bytes = static_cast<int64_t>(field.text.size());
  if (bytes <= limits.max_prompt_bytes) return absl::OkStatus();
  return InvalidField({field.name, absl::StrCat(bytes, " bytes"),
                       absl::StrCat("must have at most ", limits.max_prompt_bytes, " bytes")});
}

absl::StatusOr<Encoding> EncodeField(const ServedModel& model, const TextField& field,
                                     const EncodeOptions& options) {
  if (absl::Status status = NeedsTokenizer(model); !status.ok()) return status;
  absl::StatusOr<Encoding> encoding = model.tokenizer->Encode(field.text, options);
  if (absl::IsInvalidArgument(encoding.status())) {
    return InvalidField({field.name, "not a text that the tokenizer can read",
                         std::string(encoding.status().message())});
  }
  if (!encoding.ok()) return encoding.status();
  if (absl::Status status = CheckIds(model, field.name, encoding->ids); !status.ok()) return status;
  return encoding;
}

absl::StatusOr<SpecialTokens> ParseSpecialTokens(v1::SpecialTokens value) {
  switch (value) {
    case v1::SPECIAL_TOKENS_UNSPECIFIED:
    case v1::SPECIAL_TOKENS_PARSE:
      return SpecialTokens::kParse;
    case v1::SPECIAL_TOKENS_LITERAL:
      return SpecialTokens::kLiteral;
    default:
      return InvalidField(
          {"special_tokens", absl::StrCat(static_cast<int>(value)), "must be PARSE or LITERAL"});
  }
}

absl::Status CheckIds(const ServedModel& model, const std::string& field,
                      std::span<const int32_t> ids) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0 && ids[i] < model.limits.vocab_size) continue;
    return InvalidField({absl::StrCat(field, "[", i, "]"), absl::StrCat(ids[i]),
                         absl::StrCat("must be an id in [0, ", model.limits.vocab_size, ")")});
  }
  return absl::OkStatus();
}

}  // namespace dyad
