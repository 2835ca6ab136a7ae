// Messages to JSON by hand: protobuf's own writer puts 64-bit integers into strings and has no
// null.
#include "client/answer_json.h"

#include <algorithm>
#include <string>
#include <vector>

#include "client/json_message.h"

namespace dyad::client {
namespace {

Json BytesJson(const std::string& bytes) {
  Json list = Json::array();
  for (const char byte : bytes) list.push_back(static_cast<unsigned char>(byte));
  return list;
}

Json TopJson(const google::protobuf::RepeatedPtrField<v1::TopToken>& top) {
  Json list = Json::array();
  for (const v1::TopToken& token : top) {
    list.push_back({{"id", token.id()},
                    {"text", token.text()},
                    {"bytes", BytesJson(token.bytes())},
                    {"logprob", FloatJson(token.logprob())}});
  }
  return list;
}

// Ids are integers in the answer and floats never are: FloatJson for every float of the protos.
Json ChoiceJson(const v1::Choice& choice) {
  Json json = {{"ids", choice.ids()},
               {"text", choice.text()},
               {"finish_reason", EnumWord(choice.finish_reason())}};
  if (choice.has_stop_string()) json["stop_reason"] = choice.stop_string();
  if (choice.has_stop_id()) json["stop_reason"] = choice.stop_id();
  if (choice.logprobs_size() == 0) return json;
  Json& list = json["logprobs"] = Json::array();
  for (const v1::TokenLogprob& token : choice.logprobs()) {
    list.push_back({{"id", token.id()},
                    {"text", token.text()},
                    {"bytes", BytesJson(token.bytes())},
                    {"logprob", FloatJson(token.logprob())},
                    {"top", TopJson(token.top())}});
  }
  return json;
}

// `value` of each scored token, null for the others.
template <typename Value>
Json WhereScored(const v1::TextScore& score, const Value& value) {
  Json list = Json::array();
  for (int i = 0; i < score.ids_size(); ++i) {
    const bool scored = i < score.scored_size() && score.scored(i);
    list.push_back(scored ? value(i) : Json(nullptr));
  }
  return list;
}

// A sum or mean of no tokens is 0 in the answer, and would be taken for that of a certain text.
Json SumJson(double value, int32_t scored_tokens) {
  return scored_tokens > 0 ? Json(value) : Json(nullptr);
}

}  // namespace

Json GenerateAnswer(const v1::GenerateResponse& response) {
  Json json;
  if (response.choices_size() == 1) {
    json = ChoiceJson(response.choices(0));
  } else {
    json["choices"] = Json::array();
    for (const v1::Choice& choice : response.choices()) {
      Json with_index = {{"index", choice.index()}};
      with_index.update(ChoiceJson(choice));
      json["choices"].push_back(std::move(with_index));
    }
  }
  json["seed"] = response.seed();
  return json;
}

Json ScoreAnswer(const v1::TextScore& score, std::string_view text, v1::Convention convention,
                 Details details) {
  Json json = {
      {"ids", score.ids()},
      {"logprobs", WhereScored(score, [&](int i) { return FloatJson(score.logprobs(i)); })},
      {"greedy", WhereScored(score, [&](int i) { return Json(score.greedy(i)); })},
      {"sum", SumJson(score.sum(), score.scored_tokens())},
      {"mean", SumJson(score.mean(), score.scored_tokens())},
      {"scored_tokens", score.scored_tokens()},
      {"convention", EnumWord(convention)}};
  if (score.top_size() > 0) {
    json["top"] = WhereScored(score, [&](int i) {
      return i < score.top_size() ? TopJson(score.top(i).tokens()) : Json();
    });
  }
  for (const v1::SpanScore& word : score.words()) {
    json["words"].push_back(
        {{"word", WordText(text, word)},
         {"begin", word.begin()},
         {"end", word.end()},
         {"tokens", word.tokens()},
         {"logprob", word.has_logprob() ? Json(word.logprob()) : Json(nullptr)}});
  }
  if (details == Details::kNo) return json;
  json["ranks"] = WhereScored(
      score, [&](int i) { return i < score.ranks_size() ? Json(score.ranks(i)) : Json(); });
  json["texts"] = score.texts();
  json["byte_offsets"] = score.byte_offsets();
  return json;
}

std::string WordText(std::string_view text, const v1::SpanScore& word) {
  const auto begin = std::min<size_t>(static_cast<size_t>(std::max(0, word.begin())), text.size());
  return std::string(
      text.substr(begin, static_cast<size_t>(std::max(0, word.end() - word.begin()))));
}

Json PairAnswer(const v1::PairScore& score) {
  if (score.has_error()) {
    return ErrorJson(
        absl::Status(static_cast<absl::StatusCode>(score.error().code()), score.error().message()));
  }
  Json json;
  json["good_sum"] = score.good_sum();
  json["bad_sum"] = score.bad_sum();
  json["good_mean"] = score.good_mean();
  json["bad_mean"] = score.bad_mean();
  json["good_scored_tokens"] = score.good_scored_tokens();
  json["bad_scored_tokens"] = score.bad_scored_tokens();
  json["margin"] = score.margin();
  json["tie"] = score.tie();
  json["correct"] = score.correct();
  json["first_difference"] =
      score.has_first_difference() ? Json(score.first_difference()) : Json(nullptr);
  return json;
}

namespace {

// Members of a layer, by the names that dyad-convert gives them, too.
Json LayerDetailsJson(const v1::LayerDetails& details) {
  Json tensors = Json::array();
  for (const v1::SourceTensor& tensor : details.tensors()) {
    tensors.push_back(
        {{"name", tensor.name()},
         {"type", tensor.type()},
         {"shape", std::vector<int64_t>(tensor.shape().begin(), tensor.shape().end())}});
  }
  Json json = {{"kind", details.kind()},
               {"dense_parameters", details.dense_parameters()},
               {"weight_bytes", details.weight_bytes()},
               {"dense_weight_bytes", details.dense_weight_bytes()},
               {"multiply_adds", details.multiply_adds()},
               {"dense_multiply_adds", details.dense_multiply_adds()},
               {"tensors", std::move(tensors)},
               {"tensor_count", details.tensor_count()},
               {"steps", std::vector<std::string>(details.steps().begin(), details.steps().end())},
               {"form", EnumWord(details.form())},
               {"form_reason", details.form_reason()}};
  if (details.has_pays()) json["pays"] = details.pays();
  return json;
}

}  // namespace

Json ModelAnswer(const v1::Model& model) {
  Json json = {
      {"name", model.name()},
      {"architecture", model.architecture()},
      {"state", EnumWord(model.state())},
      {"digest", model.digest()},
      {"parameters", model.parameters()},
      {"dense_equivalent_parameters", model.dense_equivalent_parameters()},
      {"weight_dtype", model.weight_dtype()},
      {"device", model.device()},
      {"arithmetic", model.arithmetic()},
      {"context_length", model.context_length()},
      {"vocab_size", model.vocab_size()},
      {"bos_id", model.has_bos_id() ? Json(model.bos_id()) : Json(nullptr)},
      {"eos_id", model.has_eos_id() ? Json(model.eos_id()) : Json(nullptr)},
      {"eos_ids", Json(std::vector<int32_t>(model.eos_ids().begin(), model.eos_ids().end()))},
      {"prefix_id", model.has_prefix_id() ? Json(model.prefix_id()) : Json(nullptr)},
      {"has_tokenizer", model.has_tokenizer()},
      {"weight_bytes", model.weight_bytes()},
      {"kv_dtype", model.kv_dtype()},
      {"kv_cache_bytes", model.kv_cache_bytes()}};
  if (model.layers_size() == 0) return json;
  Json& layers = json["layers"] = Json::array();
  for (const v1::LinearLayer& layer : model.layers()) {
    Json& added = layers.emplace_back(Json{{"name", layer.name()},
                                           {"structure", layer.structure()},
                                           {"in_features", layer.in_features()},
                                           {"out_features", layer.out_features()},
                                           {"parameters", layer.parameters()}});
    if (layer.has_details()) added.update(LayerDetailsJson(layer.details()));
  }
  return json;
}

}  // namespace dyad::client
