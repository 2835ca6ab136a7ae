// The keys of config.json, by architecture.
#include "server/model/config.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

#include "nlohmann/json.hpp"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/model/json_fields.h"

namespace dyad {
namespace {

using kernels::Activation;

// Far above any published model; they keep products of two sizes far below overflow.
constexpr Range<int64_t> kVocabSizes = {1, int64_t{1} << 24};
constexpr Range<int64_t> kWidths = {1, int64_t{1} << 18};
constexpr Range<int64_t> kLayers = {1, 1024};
constexpr Range<int64_t> kHeads = {1, 1024};
// GPT-NeoX has no tensor that proves its positions, and a table per position is computed.
constexpr Range<int64_t> kPositions = {1, int64_t{1} << 17};
constexpr uintmax_t kMaxConfigBytes = 16 << 20;

Activation ReadActivation(JsonFields& fields, std::string_view key, std::string_view otherwise) {
  constexpr struct {
    std::string_view name;
    Activation activation;
  } kNames[] = {{"relu", Activation::kRelu},
                {"gelu", Activation::kGelu},
                {"gelu_python", Activation::kGelu},
                {"gelu_new", Activation::kGeluTanh},
                {"gelu_fast", Activation::kGeluTanh},
                {"gelu_pytorch_tanh", Activation::kGeluTanh},
                {"gelu_accurate", Activation::kGeluTanh}};
  const std::string name = fields.String(key, otherwise);
  for (const auto& known : kNames) {
    if (name == known.name) return known.activation;
  }
  fields.Fault(key,
               "relu, gelu, gelu_python, gelu_new, gelu_fast, gelu_pytorch_tanh or gelu_accurate");
  return Activation::kNone;
}

// Only once the numbers themselves are right.
void RequireHeadsDivide(JsonFields& fields, int64_t hidden_size, int64_t heads) {
  if (!fields.status().ok() || hidden_size % heads == 0) return;
  fields.Fault("num_attention_heads", Text("a divisor of hidden_size ", hidden_size));
}

// Keys as transformers' OPTConfig has them.
OptConfig ReadOpt(JsonFields& fields) {
  OptConfig c;
  c.vocab_size = fields.Integer("vocab_size", c.vocab_size, kVocabSizes);
  c.hidden_size = fields.Integer("hidden_size", c.hidden_size, kWidths);
  c.ffn_size = fields.Integer("ffn_dim", c.ffn_size, kWidths);
  c.layers = fields.Integer("num_hidden_layers", c.layers, kLayers);
  c.heads = fields.Integer("num_attention_heads", c.heads, kHeads);
  c.positions = fields.Integer("max_position_embeddings", c.positions, kPositions);
  c.embed_size = fields.Integer("word_embed_proj_dim", c.hidden_size, kWidths);
  c.activation = ReadActivation(fields, "activation_function", "relu");
  const bool before = fields.Switch("do_layer_norm_before", true);
  c.norm_order = before ? NormOrder::kBeforeBlock : NormOrder::kAfterBlock;
  c.final_norm = !fields.Switch("_remove_final_layer_norm", false) && before;
  c.linear_bias = fields.Switch("enable_bias", true);
  c.norm_affine = fields.Switch("layer_norm_elementwise_affine", true);
  c.tied_head = fields.Switch("tie_word_embeddings", true);
  RequireHeadsDivide(fields, c.hidden_size, c.heads);
  return c;
}

// Rotary embedding in transformers 5's words, or the older ones.
void ReadRotary(JsonFields& fields, GptNeoxConfig& c) {
  const char* key = fields.Has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  const nlohmann::json& rope = fields.Object(key);
  constexpr Range<double> kPart = {0, 1};
  constexpr Range<double> kBase = {1, 1e12};
  double part = fields.Real("rotary_pct", 0.25, kPart);
  c.rotary_base = fields.Real("rotary_emb_base", 10000, kBase);
  JsonFields words(rope, key);
  if (rope.is_object()) {
    part = words.Real("partial_rotary_factor", part, kPart);
    c.rotary_base = words.Real("rope_theta", c.rotary_base, kBase);
    if (words.String("rope_type", words.String("type", "default")) != "default") {
      words.Fault(words.Has("rope_type") ? "rope_type" : "type", "default");
    }
  }
  fields.Include(words);
  c.rotary_size = static_cast<int64_t>(static_cast<double>(c.hidden_size / c.heads) * part);
  if (c.rotary_size % 2 != 0) {
    fields.Fault("rotary_pct", Text("an even number of rotating dimensions, not ", c.rotary_size,
                                    " of ", c.hidden_size / c.heads));
  }
}

// Keys as transformers' GPTNeoXConfig has them.
GptNeoxConfig ReadGptNeox(JsonFields& fields) {
  GptNeoxConfig c;
  c.vocab_size = fields.Integer("vocab_size", c.vocab_size, kVocabSizes);
  c.hidden_size = fields.Integer("hidden_size", c.hidden_size, kWidths);
  c.ffn_size = fields.Integer("intermediate_size", c.ffn_size, kWidths);
  c.layers = fields.Integer("num_hidden_layers", c.layers, kLayers);
  c.heads = fields.Integer("num_attention_heads", c.heads, kHeads);
  c.positions = fields.Integer("max_position_embeddings", c.positions, kPositions);
  c.norm_epsilon = static_cast<float>(fields.Real("layer_norm_eps", 1e-5, {1e-30, 1}));
  c.activation = ReadActivation(fields, "hidden_act", "gelu");
  const bool parallel = fields.Switch("use_parallel_residual", true);
  c.residual = parallel ? Residual::kParallel : Residual::kSerial;
  c.attention_bias = fields.Switch("attention_bias", true);
  c.tied_head = fields.Switch("tie_word_embeddings", false);
  RequireHeadsDivide(fields, c.hidden_size, c.heads);
  ReadRotary(fields, c);
  return c;
}

// An id, or a list of ids of which the first counts.
std::optional<int32_t> ReadTokenId(const nlohmann::json& object, JsonFields& fields,
                                   std::string_view key, int64_t otherwise, int64_t vocab_size) {
  const auto it = object.find(key);
  if (it == object.end()) {
    return otherwise < vocab_size ? std::optional(static_cast<int32_t>(otherwise)) : std::nullopt;
  }
  if (it->is_null() || (it->is_array() && it->empty())) return std::nullopt;
  const nlohmann::json single = {{key, it->is_array() ? it->front() : *it}};
  JsonFields first(single, "");
  const int64_t id = first.Integer(key, 0, {0, vocab_size - 1});
  if (!first.status().ok()) {
    fields.Fault(key, Text("an id in [0, ", vocab_size, ") or a list of them"));
  }
  return static_cast<int32_t>(id);
}

}  // namespace

absl::StatusOr<ModelConfig> ParseConfig(std::string_view text) {
  ASSIGN_OR_RETURN(const nlohmann::json json, ParseJsonObject(text, "config.json"));
  JsonFields fields(json, "config.json");
  const std::string type = fields.String("model_type", "");
  RETURN_IF_ERROR(fields.status());
  const bool opt = type == "opt" || type == "sparse_opt";
  if (!opt && type != "gpt_neox" && type != "sparse_gpt_neox") {
    return absl::InvalidArgumentError(
        Text("config.json: model_type is ", type.empty() ? "missing" : Quoted(type),
             "; expected opt, sparse_opt, gpt_neox or sparse_gpt_neox"));
  }
  ModelConfig config;
  if (opt) {
    config.network = ReadOpt(fields);
  } else {
    config.network = ReadGptNeox(fields);
  }
  // Ids are checked against the vocabulary, the vocabulary against the embedding when that is
  // found.
  const int64_t vocab_size = std::visit([](const auto& c) { return c.vocab_size; }, config.network);
  config.bos_id = ReadTokenId(json, fields, "bos_token_id", opt ? 2 : 0, vocab_size);
  config.eos_id = ReadTokenId(json, fields, "eos_token_id", 2, vocab_size);
  if (fields.Has("dyad_dim")) config.dyad_dim = fields.Integer("dyad_dim", 1, kWidths);
  if (fields.Has("quantization_config")) fields.Fault("quantization_config", "none");
  RETURN_IF_ERROR(fields.status());
  const auto structured = json.find("structured_linear");
  ASSIGN_OR_RETURN(config.structured_linear,
                   StructuredLinear::Parse(structured == json.end() ? nullptr : *structured,
                                           opt ? "model." : "gpt_neox."));
  return config;
}

absl::StatusOr<ModelConfig> ReadConfig(const std::string& folder) {
  const std::filesystem::path path = std::filesystem::path(folder) / "config.json";
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    return absl::NotFoundError(Text(folder, ": no such folder"));
  }
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::NotFoundError(
        Text("config.json: no such file in ", folder, "; expected a checkpoint folder"));
  }
  const uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error || bytes > kMaxConfigBytes) {
    return absl::InvalidArgumentError(
        Text("config.json: has ", bytes, " bytes; expected at most ", kMaxConfigBytes));
  }
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return absl::DataLossError(Text("config.json: cannot be read in ", folder));
  return ParseConfig(text.view());
}

}  // namespace dyad
