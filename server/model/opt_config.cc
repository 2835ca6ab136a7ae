// The keys of OPT.
#include "server/model/opt_config.h"

#include "server/model/config_fields.h"

namespace dyad {

OptConfig ReadOptConfig(JsonFields& fields) {
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

}  // namespace dyad
