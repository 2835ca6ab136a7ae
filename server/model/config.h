// config.json -> what the two networks need to know. Values are checked for type and range; what
// they claim about sizes is believed only once tensors of these sizes were found.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "kernels/linear.h"
#include "server/model/structured_linear.h"

namespace dyad {

enum class NormOrder { kBeforeBlock, kAfterBlock };  // pre-LN, post-LN
enum class Residual { kParallel, kSerial };

struct OptConfig {
  int64_t vocab_size = 50272;
  int64_t hidden_size = 768;
  int64_t ffn_size = 3072;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t positions = 2048;
  int64_t embed_size = 768;  // other than hidden_size: project_in and project_out exist
  NormOrder norm_order = NormOrder::kBeforeBlock;
  kernels::Activation activation = kernels::Activation::kRelu;
  bool linear_bias = true;  // enable_bias
  bool norm_affine = true;  // layer_norm_elementwise_affine
  bool final_norm = true;   // of the decoder; only ever with kBeforeBlock
  bool tied_head = true;    // tie_word_embeddings
};

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
};

struct ModelConfig {
  std::variant<OptConfig, GptNeoxConfig> network;
  StructuredLinear structured_linear;
  std::optional<int64_t> dyad_dim;  // blocks that every DYAD layer must have
  std::optional<int32_t> bos_id;    // [0, vocab_size)
  std::optional<int32_t> eos_id;    // the first, where the file lists several
};

// Absent keys have the defaults that transformers gives them.
// Errors: InvalidArgument: keys, what was found, what was expected.
absl::StatusOr<ModelConfig> ParseConfig(std::string_view json);

// Reads FOLDER/config.json. Errors: NotFound, InvalidArgument; as above.
absl::StatusOr<ModelConfig> ReadConfig(const std::string& folder);

}  // namespace dyad
