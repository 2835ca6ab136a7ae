// JSON to requests through protobuf's own JSON reader, after reshaping what differs.
#include "client/request_json.h"

#include <initializer_list>
#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

bool Has(const Json& line, const char* key) { return line.contains(key) && !line[key].is_null(); }

// The named keys of `line` that are not null.
Json Pick(const Json& line, std::initializer_list<const char*> keys) {
  Json picked = Json::object();
  for (const char* key : keys) {
    if (Has(line, key)) picked[key] = line[key];
  }
  return picked;
}

// Names in the JSON are the proto's own; unknown ones are errors.
template <typename Message>
absl::StatusOr<Message> ToMessage(const Json& fields) {
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(FormatLine(fields), &message);
  if (!status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("cannot read the line: ", status.ToString()));
  }
  return message;
}

// A list of ids as the message TokenIds.
absl::Status WrapIds(const char* key, Json& fields) {
  if (!Has(fields, key)) return absl::OkStatus();
  if (!fields[key].is_array()) {
    return absl::InvalidArgumentError(
        absl::StrCat(key, " must be a list of token ids, found: ", fields[key].type_name()));
  }
  Json ids = std::move(fields[key]);
  fields[key] = {{"ids", std::move(ids)}};
  return absl::OkStatus();
}

absl::Status RequireOne(const Json& line, const char* first, const char* second) {
  if (Has(line, first) != Has(line, second)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a line has either ", first, " or ", second,
                   Has(line, first) ? "; this one has both" : "; this one has neither"));
}

absl::Status RequireText(const Json& line, const char* key) {
  if (line.contains(key) && line[key].is_string()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      key, " must be a string, found: ", line.contains(key) ? line[key].type_name() : "nothing"));
}

}  // namespace

absl::StatusOr<v1::GenerateRequest> GenerateRequestFromJson(const Json& line) {
  RETURN_IF_ERROR(RequireOne(line, "text", "ids"));
  Json fields = line;
  RETURN_IF_ERROR(WrapIds("ids", fields));
  if (Has(fields, "stop") && fields["stop"].is_string()) {
    fields["stop"] = Json::array({fields["stop"]});
  }
  return ToMessage<v1::GenerateRequest>(fields);
}

absl::StatusOr<v1::ScoreRequest> ScoreRequestFromJson(const Json& line) {
  RETURN_IF_ERROR(RequireOne(line, "text", "ids"));
  if (Has(line, "context") && Has(line, "context_ids")) {
    return absl::InvalidArgumentError("a line has context or context_ids, not both");
  }
  Json item = Pick(line, {"text", "ids", "context_ids"});
  RETURN_IF_ERROR(WrapIds("ids", item));
  RETURN_IF_ERROR(WrapIds("context_ids", item));
  // Even an empty one: the presence of the field is what the server looks at.
  if (Has(line, "context")) item["context_text"] = line["context"];
  Json fields = Pick(line, {"model", "convention", "special_tokens", "top_n"});
  fields["items"] = Json::array({std::move(item)});
  return ToMessage<v1::ScoreRequest>(fields);
}

absl::StatusOr<v1::TokenizeRequest> TokenizeRequestFromJson(const Json& line) {
  RETURN_IF_ERROR(RequireText(line, "text"));
  return ToMessage<v1::TokenizeRequest>(
      Pick(line, {"text", "add_special_tokens", "special_tokens", "model"}));
}

absl::StatusOr<v1::DetokenizeRequest> DetokenizeRequestFromJson(const Json& line) {
  if (!Has(line, "ids") || !line["ids"].is_array()) {
    return absl::InvalidArgumentError("ids must be a list of token ids");
  }
  return ToMessage<v1::DetokenizeRequest>(Pick(line, {"ids", "skip_special_tokens", "model"}));
}

absl::StatusOr<v1::MinimalPair> MinimalPairFromJson(const Json& line) {
  RETURN_IF_ERROR(RequireText(line, "sentence_good"));
  RETURN_IF_ERROR(RequireText(line, "sentence_bad"));
  v1::MinimalPair pair;
  pair.set_good(line["sentence_good"].get<std::string>());
  pair.set_bad(line["sentence_bad"].get<std::string>());
  // Even an empty one, as in score.
  if (Has(line, "context")) {
    RETURN_IF_ERROR(RequireText(line, "context"));
    pair.set_context(line["context"].get<std::string>());
  }
  return pair;
}

absl::StatusOr<v1::Convention> ConventionFromName(const std::string& name) {
  v1::Convention convention = v1::CONVENTION_UNSPECIFIED;
  if (name.empty() || v1::Convention_Parse(name, &convention)) return convention;
  return absl::InvalidArgumentError(
      absl::StrCat("convention is ", name,
                   "; it must be LM_EVAL, BABYLM, MINICONS_MEAN, MINICONS_SUM or CONDITIONAL"));
}

absl::StatusOr<v1::SpecialTokens> SpecialTokensFromName(const std::string& name) {
  v1::SpecialTokens special = v1::SPECIAL_TOKENS_UNSPECIFIED;
  if (name.empty() || v1::SpecialTokens_Parse(name, &special)) return special;
  return absl::InvalidArgumentError(
      absl::StrCat("special_tokens is ", name, "; it must be PARSE or LITERAL"));
}

}  // namespace dyad::client
