// config.json of OPT: the keys that transformers' OPTConfig has. What they claim about sizes is
// believed only once tensors of these sizes were found.
#pragma once

#include <cstdint>

#include "kernels/epilogue.h"
#include "server/base/json_fields.h"

namespace dyad {

enum class NormOrder { kBefore, kAfter };  // pre-LN, post-LN

struct OptConfig {
  int64_t vocab_size = 50272;
  int64_t hidden_size = 768;
  int64_t ffn_size = 3072;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t positions = 2048;
  int64_t embed_size = 768;  // other than hidden_size: project_in and project_out exist
  NormOrder norm_order = NormOrder::kBefore;
  kernels::Activation activation = kernels::Activation::kRelu;
  bool linear_bias = true;  // enable_bias
  bool norm_affine = true;  // layer_norm_elementwise_affine
  bool final_norm = true;   // of the decoder; only ever with kBefore
  bool tied_head = true;    // tie_word_embeddings

  // Of each row of a step: what the network's Prepare allocates.
  int64_t activation_columns() const { return embed_size + 5 * hidden_size + ffn_size; }
  bool operator==(const OptConfig&) const = default;
};

// Absent keys have the defaults that transformers gives them. Faults are left in `fields`.
OptConfig ReadOptConfig(JsonFields& fields);

}  // namespace dyad
