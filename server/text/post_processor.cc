// Templates become two lists of ids: before the text and after it.
#include "server/text/post_processor.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

// "special_tokens": {NAME: {"id": NAME, "ids": [...], "tokens": [...]}}
absl::StatusOr<std::vector<int32_t>> IdsOf(const JsonValue& special_token) {
  ASSIGN_OR_RETURN(const std::vector<JsonValue> elements, special_token["ids"].Elements());
  std::vector<int32_t> ids;
  for (const JsonValue& element : elements) {
    ASSIGN_OR_RETURN(ids.emplace_back(), element.TokenId());
  }
  return ids;
}

absl::Status ReadTemplate(const JsonValue& part, TokenizerSpec& spec) {
  const JsonValue single = part["single"];
  ASSIGN_OR_RETURN(const std::vector<JsonValue> pieces, single.Elements());
  bool text_seen = false;
  for (const JsonValue& piece : pieces) {
    if (const JsonValue sequence = piece["Sequence"]; !sequence.is_null()) {
      if (text_seen || sequence["id"].json() != "A") {
        return sequence.Mismatch("the sequence \"A\", once");
      }
      text_seen = true;
      continue;
    }
    ASSIGN_OR_RETURN(const std::string name, piece["SpecialToken"]["id"].String());
    ASSIGN_OR_RETURN(const std::vector<int32_t> ids, IdsOf(part["special_tokens"][name]));
    std::vector<int32_t>& frame = text_seen ? spec.frame_after : spec.frame_before;
    if (frame.size() + ids.size() > kMaxFrameTokens) {
      return single.Mismatch(absl::StrCat("at most ", kMaxFrameTokens, " tokens on each side"));
    }
    frame.insert(frame.end(), ids.begin(), ids.end());
  }
  if (!text_seen) return single.Mismatch("a list that holds the sequence \"A\"");
  return absl::OkStatus();
}

// "cls" and "sep": [TOKEN, ID] each.
absl::Status ReadFirstAndLast(const JsonValue& part, TokenizerSpec& spec) {
  for (auto [key, frame] : {std::pair("cls", &spec.frame_before), {"sep", &spec.frame_after}}) {
    ASSIGN_OR_RETURN(const std::vector<JsonValue> pair, part[key].Elements());
    if (pair.size() != 2) return part[key].Mismatch("a list of a token and its id");
    ASSIGN_OR_RETURN(frame->emplace_back(), pair[1].TokenId());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadPostProcessor(const JsonValue& part, TokenizerSpec& spec) {
  if (part.is_null()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string type, part["type"].String());
  if (type == "ByteLevel") return absl::OkStatus();
  if (type == "Sequence") {
    ASSIGN_OR_RETURN(const std::vector<JsonValue> parts, part["processors"].Elements());
    for (const JsonValue& inner : parts) RETURN_IF_ERROR(ReadPostProcessor(inner, spec));
    return absl::OkStatus();
  }
  const bool is_template = type == "TemplateProcessing";
  if (!is_template && type != "RobertaProcessing" && type != "BertProcessing") {
    return part["type"].Mismatch(
        "\"ByteLevel\", \"TemplateProcessing\", \"RobertaProcessing\", \"BertProcessing\" or a "
        "\"Sequence\" of these");
  }
  if (spec.has_template) return part["type"].Mismatch("at most one frame");
  spec.has_template = true;
  return is_template ? ReadTemplate(part, spec) : ReadFirstAndLast(part, spec);
}

}  // namespace dyad
