// Models and tokenizers in the words of OpenAI's and vLLM's clients.
#include "server/openai/model_answers.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/api/describe_model.h"
#include "server/api/parse_request.h"
#include "server/api/request_error.h"
#include "server/api/tokenize.h"
#include "server/base/status_macros.h"
#include "server/routes/json_body.h"

namespace dyad {
namespace {

using Json = nlohmann::ordered_json;

Json TokenText(const Tokenizer& tokenizer, std::optional<int32_t> id) {
  if (!id.has_value()) return nullptr;
  return tokenizer.Decode(std::span(&*id, 1), DecodeSpecial::kKeep);
}

}  // namespace

Json ModelJson(const ServedModel& model, int64_t created) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", created},
          {"owned_by", "dyad-serve"},
          {"max_model_len", model.limits.context_length},
          {"dyad",
           {{"digest", model.info.digest},
            {"architecture", model.info.architecture},
            {"structure", StructureOf(model.info)},
            {"weight_dtype", model.info.weight_dtype},
            {"arithmetic", model.info.arithmetic}}}};
}

absl::StatusOr<const ServedModel*> FindModel(const ServerState& state, const std::string& fixed,
                                             const std::string& named) {
  const std::vector<ServedModel>& models = state.models.models();
  if (fixed.empty() && named.empty() && models.size() > 1) {
    std::vector<std::string> names;
    for (const ServedModel& model : models) names.push_back(model.name);
    return InvalidField({"model", "absent",
                         absl::StrCat("this server has several: ", absl::StrJoin(names, ", "),
                                      "; /models/NAME in front of the path names one")});
  }
  return state.models.Find(fixed.empty() ? named : fixed);
}

absl::StatusOr<Json> TokenizeAnswer(const nlohmann::json& body, const std::string& fixed,
                                    HttpCall& call) {
  if (body.contains("messages")) {
    return InvalidField(
        {"messages", "of a chat", "there are no chat templates; put text into prompt"});
  }
  RETURN_IF_ERROR(CheckNames(body, {"prompt", "model", "add_special_tokens", "return_token_strs"}));
  ASSIGN_OR_RETURN(const std::string named, StringOr(body, "model", ""));
  ASSIGN_OR_RETURN(const ServedModel* model, FindModel(call.state(), fixed, named));
  const auto prompt = body.find("prompt");
  if (prompt == body.end() || !prompt->is_string()) {
    return WrongType("prompt", prompt == body.end() ? nlohmann::json() : *prompt, "a string");
  }
  v1::TokenizeRequest request;
  request.set_model(model->name);
  request.set_text(prompt->get<std::string>());
  ASSIGN_OR_RETURN(const bool frame, BoolOr(body, "add_special_tokens", true));
  request.set_add_special_tokens(frame);
  ASSIGN_OR_RETURN(const bool with_strings, BoolOr(body, "return_token_strs", false));
  ASSIGN_OR_RETURN(const v1::TokenizeResponse response, Tokenize(request, call));
  Json json = {{"count", response.ids_size()},
               {"max_model_len", model->limits.context_length},
               {"tokens", response.ids()},
               {"token_strs", nullptr}};
  if (with_strings) json["token_strs"] = response.texts();
  return json;
}

absl::StatusOr<Json> DetokenizeAnswer(const nlohmann::json& body, const std::string& fixed,
                                      HttpCall& call) {
  RETURN_IF_ERROR(CheckNames(body, {"tokens", "model"}));
  ASSIGN_OR_RETURN(const std::string named, StringOr(body, "model", ""));
  ASSIGN_OR_RETURN(const ServedModel* model, FindModel(call.state(), fixed, named));
  const auto tokens = body.find("tokens");
  if (tokens == body.end() || !tokens->is_array()) {
    return WrongType("tokens", tokens == body.end() ? nlohmann::json() : *tokens, "a list of ids");
  }
  v1::DetokenizeRequest request;
  request.set_model(model->name);
  for (const nlohmann::json& id : *tokens) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > INT32_MAX) {
      return WrongType(absl::StrCat("tokens[", request.ids_size(), "]"), id, "an id");
    }
    request.add_ids(id.get<int32_t>());
  }
  ASSIGN_OR_RETURN(const v1::DetokenizeResponse response, Detokenize(request, call));
  return Json{{"prompt", response.text()}};
}

absl::StatusOr<Json> TokenizerInfo(const ServedModel& model) {
  RETURN_IF_ERROR(NeedsTokenizer(model));
  const Tokenizer& tokenizer = *model.tokenizer;
  const auto framed = tokenizer.Encode("a", {Frame::kDefault, SpecialTokens::kLiteral});
  const auto plain = tokenizer.Encode("a", {Frame::kNone, SpecialTokens::kLiteral});
  const bool adds = framed.ok() && plain.ok() && framed->ids.size() > plain->ids.size();
  std::optional<int32_t> eos = tokenizer.eos_id();
  if (!eos.has_value() && !model.eos_ids.empty()) eos = model.eos_ids.front();
  return Json{
      {"tokenizer_class", model.info.architecture == "opt" ? "GPT2Tokenizer" : "GPTNeoXTokenizer"},
      {"bos_token", TokenText(tokenizer, tokenizer.bos_id())},
      {"eos_token", TokenText(tokenizer, eos)},
      {"unk_token", nullptr},
      {"pad_token", nullptr},
      {"add_bos_token", adds},
      {"model_max_length", model.limits.context_length},
      {"chat_template", nullptr}};
}

}  // namespace dyad
