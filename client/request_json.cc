// Which keys of a line are options, and the requests that they make.
#include "client/request_json.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/json_message.h"
#include "server/base/message_text.h"
#include "server/base/nearest.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

using Names = std::vector<std::string>;

const Names kPairOptions = {"sentence_good", "sentence_bad", "context"};
// Options of other lines that a pair cannot have: one stream is one model and convention.
const Names kNotOfPairs = {"context_ids", "convention", "special_tokens", "model"};

bool Has(const Json& line, const std::string& key) {
  return line.contains(key) && !line[key].is_null();
}

bool Contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// A misspelt option would change every answer unnoticed. Other keys are the caller's own: the
// shorter an option is, the more words are near it.
absl::Status CheckSpelling(const Json& line, const Names& options) {
  constexpr int kLongOption = 5;  // letters
  for (const auto& [key, value] : line.items()) {
    if (Contains(options, key)) continue;
    for (const std::string& option : options) {
      const int distance = SpellingDistance(key, option);
      if (distance > 2 || (distance > 0 && SpellingDistance(option, "") < kLongOption)) continue;
      return absl::InvalidArgumentError(
          Text("the key ", Quoted(key), " is no option; ", Quoted(option), " is one"));
    }
  }
  return absl::OkStatus();
}

// The named keys of `line`.
Json Pick(const Json& line, const Names& keys) {
  Json picked = Json::object();
  for (const std::string& key : keys) {
    if (Has(line, key)) picked[key] = line[key];
  }
  return picked;
}

absl::Status RequireOne(const Json& line, const char* first, const char* second) {
  if (Has(line, first) != Has(line, second)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("either ", first, " or ", second, " must be given",
                   Has(line, first) ? ", not both" : "; found neither"));
}

absl::Status RequireText(const Json& line, const char* key) {
  if (line.contains(key) && line[key].is_string()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      key, " must be a string, found: ", line.contains(key) ? line[key].type_name() : "nothing"));
}

}  // namespace

const Names& GenerateOptions() {
  static const Names names = FieldNames<v1::GenerateRequest>();
  return names;
}

const Names& ScoreOptions() {
  static const Names names = {
      "text",           "ids",   "context",    "context_ids",    "model", "convention",
      "special_tokens", "top_n", "word_split", "word_correction"};
  return names;
}

const Names& TokenizeOptions() {
  static const Names names = {"text", "add_special_tokens", "special_tokens", "model"};
  return names;
}

const Names& DetokenizeOptions() {
  static const Names names = {"ids", "skip_special_tokens", "model"};
  return names;
}

Json OwnKeysOf(const Json& line, const Names& options) {
  Json own = Json::object();
  for (const auto& [key, value] : line.items()) {
    if (!Contains(options, key)) own[key] = value;
  }
  return own;
}

absl::StatusOr<v1::GenerateRequest> GenerateRequestFromJson(const Json& line) {
  RETURN_IF_ERROR(CheckSpelling(line, GenerateOptions()));
  RETURN_IF_ERROR(RequireOne(line, "text", "ids"));
  Json fields = Pick(line, GenerateOptions());
  if (Has(fields, "stop") && fields["stop"].is_string()) {
    fields["stop"] = Json::array({fields["stop"]});
  }
  return MessageFromJson<v1::GenerateRequest>(fields);
}

absl::StatusOr<v1::ScoreRequest> ScoreRequestFromJson(const Json& line) {
  RETURN_IF_ERROR(CheckSpelling(line, ScoreOptions()));
  RETURN_IF_ERROR(RequireOne(line, "text", "ids"));
  if (Has(line, "context") && Has(line, "context_ids")) {
    return absl::InvalidArgumentError("context and context_ids: give one of them");
  }
  ASSIGN_OR_RETURN(v1::ScoreRequest request,
                   MessageFromJson<v1::ScoreRequest>(
                       Pick(line, {"model", "convention", "special_tokens", "top_n"})));
  Json words = Json::object();
  for (const std::string key : {"split", "correction"}) {
    if (Has(line, "word_" + key)) words[key] = line["word_" + key];
  }
  if (!words.empty()) {
    auto options = MessageFromJson<v1::WordOptions>(words);
    if (!options.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("word_", options.status().message()));
    }
    *request.mutable_words() = *std::move(options);
  }
  Json item = Pick(line, {"text", "ids", "context_ids"});
  ASSIGN_OR_RETURN(*request.add_items(), MessageFromJson<v1::ScoreItem>(item));
  // Even an empty one: the presence of the field is what the server looks at.
  if (Has(line, "context")) {
    RETURN_IF_ERROR(RequireText(line, "context"));
    request.mutable_items(0)->set_context_text(line["context"].get<std::string>());
  }
  return request;
}

absl::StatusOr<v1::TokenizeRequest> TokenizeRequestFromJson(const Json& line) {
  RETURN_IF_ERROR(CheckSpelling(line, TokenizeOptions()));
  RETURN_IF_ERROR(RequireText(line, "text"));
  return MessageFromJson<v1::TokenizeRequest>(Pick(line, TokenizeOptions()));
}

absl::StatusOr<v1::DetokenizeRequest> DetokenizeRequestFromJson(const Json& line) {
  RETURN_IF_ERROR(CheckSpelling(line, DetokenizeOptions()));
  if (!Has(line, "ids")) return absl::InvalidArgumentError("ids must be a list, found: nothing");
  return MessageFromJson<v1::DetokenizeRequest>(Pick(line, DetokenizeOptions()));
}

absl::StatusOr<v1::MinimalPair> MinimalPairFromJson(const Json& line) {
  for (const std::string& key : kNotOfPairs) {
    if (!Has(line, key)) continue;
    return absl::InvalidArgumentError(absl::StrCat(key, ": a pair has none of its own"));
  }
  RETURN_IF_ERROR(CheckSpelling(line, kPairOptions));
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

}  // namespace dyad::client
