// One function for each part of the file: added_tokens, normalizer, pre_tokenizer, decoder, model.
// The post-processor has a file of its own (post_processor.h).
#include "server/text/tokenizer_json.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/base/string_map.h"
#include "server/text/json_file.h"
#include "server/text/post_processor.h"
#include "server/text/vocabulary.h"

namespace dyad {
namespace {

// The "type" of a part of the file, or "" if the part is null.
absl::StatusOr<std::string> TypeOf(const JsonValue& part) {
  if (part.is_null()) return "";
  return part["type"].String();
}

absl::Status ReadAddedTokens(const JsonValue& list, TokenizerSpec& spec) {
  if (list.is_null()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<JsonValue> elements, list.Elements());
  if (elements.size() > kMaxAddedTokens) {
    return list.Mismatch(absl::StrCat("at most ", kMaxAddedTokens));
  }
  StringSet contents;
  for (const JsonValue& element : elements) {
    ASSIGN_OR_RETURN(AddedToken token, ReadAddedToken(element));
    ASSIGN_OR_RETURN(token.id, element["id"].TokenId());
    if (!contents.insert(token.content).second) {
      return element["content"].Mismatch("a token that is not in the list yet");
    }
    spec.added.push_back(std::move(token));
  }
  return absl::OkStatus();
}

absl::Status ReadNormalizer(const JsonValue& part, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(const std::string type, TypeOf(part));
  if (type == "NFC") {
    spec.normalizer = Normalizer::kNfc;
  } else if (!type.empty()) {
    return part["type"].Mismatch("\"NFC\" or no normalizer");
  }
  return absl::OkStatus();
}

absl::Status ReadPreTokenizer(const JsonValue& part, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(const std::string type, TypeOf(part));
  if (type != "ByteLevel") return part["type"].Mismatch("\"ByteLevel\"");
  ASSIGN_OR_RETURN(spec.add_prefix_space, part["add_prefix_space"].BoolOr(true));
  ASSIGN_OR_RETURN(spec.split_words, part["use_regex"].BoolOr(true));
  return absl::OkStatus();
}

absl::Status CheckDecoder(const JsonValue& part) {
  ASSIGN_OR_RETURN(const std::string type, TypeOf(part));
  if (type.empty() || type == "ByteLevel") return absl::OkStatus();
  return part["type"].Mismatch("\"ByteLevel\"");
}

// Options of the model that would change the ids and that ByteLevel BPE does not use.
absl::Status CheckUnused(const JsonValue& model) {
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const JsonValue value = model[key];
    if (value.is_null()) continue;
    ASSIGN_OR_RETURN(const std::string text, value.String());
    if (!text.empty()) return value.Mismatch("null or \"\"");
  }
  const nlohmann::json& dropout = model["dropout"].json();
  if (!dropout.is_null() && !(dropout.is_number() && dropout.get<double>() == 0)) {
    return model["dropout"].Mismatch("null or 0");
  }
  ASSIGN_OR_RETURN(const bool byte_fallback, model["byte_fallback"].BoolOr(false));
  if (byte_fallback) return model["byte_fallback"].Mismatch("false");
  return absl::OkStatus();
}

absl::Status ReadMerges(const JsonValue& list, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(const std::vector<JsonValue> elements, list.Elements());
  spec.merges.reserve(elements.size());
  for (const JsonValue& element : elements) {
    if (element.json().is_string()) {
      ASSIGN_OR_RETURN(const std::string line, element.String());
      std::optional<std::pair<std::string, std::string>> merge = ParseMerge(line);
      if (!merge.has_value()) return element.Mismatch("two entries with one blank between them");
      spec.merges.push_back(*std::move(merge));
      continue;
    }
    ASSIGN_OR_RETURN(const std::vector<JsonValue> pair, element.Elements());
    if (pair.size() != 2) return element.Mismatch("a list of 2 strings");
    ASSIGN_OR_RETURN(std::string left, pair[0].String());
    ASSIGN_OR_RETURN(std::string right, pair[1].String());
    spec.merges.emplace_back(std::move(left), std::move(right));
  }
  return absl::OkStatus();
}

absl::Status ReadModel(const JsonValue& model, TokenizerSpec& spec) {
  RETURN_IF_ERROR(model.IsObject());
  // Files of early versions have no type; then vocabulary and merges tell that it is BPE.
  if (const JsonValue type = model["type"]; !type.is_null() && type.json() != "BPE") {
    return type.Mismatch("\"BPE\"");
  }
  RETURN_IF_ERROR(CheckUnused(model));
  RETURN_IF_ERROR(ReadVocabulary(model["vocab"], spec));
  RETURN_IF_ERROR(ReadMerges(model["merges"], spec));
  spec.merges_source = model["merges"].where();
  if (!model["unk_token"].is_null()) {
    ASSIGN_OR_RETURN(spec.unknown, model["unk_token"].String());
  }
  ASSIGN_OR_RETURN(spec.fuse_unknown, model["fuse_unk"].BoolOr(false));
  ASSIGN_OR_RETURN(spec.whole_words_first, model["ignore_merges"].BoolOr(false));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenizerSpec> ReadTokenizerJson(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Read(path));
  const JsonValue root = file.root();
  TokenizerSpec spec;
  RETURN_IF_ERROR(ReadAddedTokens(root["added_tokens"], spec));
  RETURN_IF_ERROR(ReadNormalizer(root["normalizer"], spec));
  RETURN_IF_ERROR(ReadPreTokenizer(root["pre_tokenizer"], spec));
  RETURN_IF_ERROR(CheckDecoder(root["decoder"]));
  RETURN_IF_ERROR(ReadPostProcessor(root["post_processor"], spec));
  RETURN_IF_ERROR(ReadModel(root["model"], spec));
  return spec;
}

}  // namespace dyad
