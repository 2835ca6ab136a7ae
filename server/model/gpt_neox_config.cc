// The keys of GPT-NeoX.
#include "server/model/gpt_neox_config.h"

#include "nlohmann/json.hpp"
#include "server/base/message_text.h"
#include "server/model/config_fields.h"

namespace dyad {
namespace {

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
  if (fields.Has("rope_parameters") && fields.Has("rope_scaling")) {
    fields.Fault("rope_scaling", "null beside rope_parameters");
  }
  // Some versions write these beside the keys above; they must not say anything else.
  if (fields.Real("partial_rotary_factor", part, kPart) != part) {
    fields.Fault("partial_rotary_factor", Text(part, ", as rotary_pct or ", key, " says"));
  }
  if (fields.Real("rope_theta", c.rotary_base, kBase) != c.rotary_base) {
    fields.Fault("rope_theta", Text(c.rotary_base, ", as rotary_emb_base or ", key, " says"));
  }
  c.rotary_size = static_cast<int64_t>(static_cast<double>(c.hidden_size / c.heads) * part);
  if (c.rotary_size % 2 != 0) {
    fields.Fault("rotary_pct", Text("an even number of rotating dimensions, not ", c.rotary_size,
                                    " of ", c.hidden_size / c.heads));
  }
}

}  // namespace

GptNeoxConfig ReadGptNeoxConfig(JsonFields& fields) {
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

}  // namespace dyad
