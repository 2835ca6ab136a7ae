// What was found while a model was loaded, for ListModels and GetModel.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dyad {

// A tensor as the file has it.
struct SourceTensor {
  std::string name;
  std::string type;  // "float32", "bfloat16", "int8", …
  std::vector<int64_t> shape;
};

// One linear layer as it was found, in the order of the network.
struct LinearInfo {
  std::string name;  // module path in the checkpoint
  // As its family says it: "dense", "monarch 4 blocks inner 68". Of a layer that was multiplied out
  // with the reason: "dyad it 2 blocks, multiplied out: the plan saves nothing".
  std::string structure;
  int64_t in_features = 0;
  int64_t out_features = 0;
  int64_t parameters = 0;  // stored, bias included
  std::string kind;  // "dense", "monarch": as in config.json's structured_linear
  std::vector<SourceTensor> tensors;
  // Of its plan, a line each: describe_plan.h.
  std::vector<std::string> steps;
  bool multiplied_out = false;  // then a dense matrix runs in place of the steps
  std::string form_reason;      // why it is or is not: "fewer parameters"
  bool biased = false;
  bool routed = false;  // its rows choose what they run; never multiplied out
  // For a row, in the form that runs; of what rows choose, the share that a row keeps.
  int64_t multiply_adds = 0;
  // Weights and bias in the form that runs, int8's scales included, padding not.
  int64_t weight_bytes = 0;
  int64_t dense_weight_bytes = 0;  // the same of a dense layer of this size and type

  int64_t dense_multiply_adds() const { return in_features * out_features; }
  int64_t dense_parameters() const { return dense_multiply_adds() + (biased ? out_features : 0); }
  // Whether a row computes less than a dense layer would: gates cost, too.
  bool pays() const { return multiply_adds < dense_multiply_adds(); }
};

struct ModelInfo {
  std::string architecture;  // "opt", "gpt_neox"
  std::string digest;        // 64 hex digits
  std::string weight_dtype;  // "float32", "float16", "bfloat16", "int8"
  std::string kv_dtype;      // "float32", "bfloat16"
  std::string device;        // "cpu"
  std::string arithmetic;    // of most layers: "exact", "fast", "integer16", "bfloat16" …
  int64_t parameters = 0;
  int64_t dense_equivalent_parameters = 0;
  int64_t weight_bytes = 0;
  int64_t kv_cache_bytes = 0;
  std::optional<int32_t> bos_id;  // config.json's
  std::vector<int32_t> eos_ids;   // generation_config.json's, else config.json's
  std::vector<LinearInfo> layers;
};

}  // namespace dyad
