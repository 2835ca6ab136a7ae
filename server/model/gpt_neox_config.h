// config.json of GPT-NeoX: the keys that transformers' GPTNeoXConfig has. What they claim about
// sizes is believed only once tensors of these sizes were found.
#pragma once

#include <cstdint>

#include "kernels/epilogue.h"
#include "server/base/json_fields.h"

namespace dyad {

enum class Residual { kParallel, kSerial };

struct GptNeoxConfig {
  int64_t vocab_size = 50432;
  int64_t hidden_size = 6144;
  int64_t ffn_size = 24576;
  int64_t layers = 44;
  int64_t heads = 64;
  int64_t positions = 2048;
  int64_t rotary_size = 24;  // leading dimensions of a head that rotate; even
  double rotary_base = 10000;
  float norm_epsilon = 1e-5f;
  Residual residual = Residual::kParallel;
  kernels::Activation activation = kernels::Activation::kGelu;
  bool attention_bias = true;
  bool tied_head = false;

  // Of each row of a step: what the network's Prepare allocates.
  int64_t activation_columns() const { return 6 * hidden_size + ffn_size; }
  bool operator==(const GptNeoxConfig&) const = default;
};

// Absent keys have the defaults that transformers gives them. Faults are left in `fields`.
GptNeoxConfig ReadGptNeoxConfig(JsonFields& fields);

}  // namespace dyad
