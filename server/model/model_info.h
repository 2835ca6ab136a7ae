// What was found while a model was loaded, for ListModels and GetModel.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dyad {

// One linear layer as it was found, in the order of the network.
struct LinearInfo {
  std::string name;  // module path in the checkpoint
  // As its family says it: "dense", "monarch 4 blocks inner 68". Of a layer that was multiplied out
  // with the reason: "dyad it 2 blocks, multiplied out: the plan saves nothing".
  std::string structure;
  int64_t in_features = 0;
  int64_t out_features = 0;
  int64_t parameters = 0;
};

struct ModelInfo {
  std::string architecture;  // "opt", "gpt_neox"
  std::string digest;        // 64 hex digits
  std::string weight_dtype;  // "float32", "float16", "bfloat16", "int8"
  std::string kv_dtype;      // "float32", "bfloat16"
  std::string device;        // "cpu"
  std::string arithmetic;    // of most layers: "exact", "accurate", "fast", "integer16" …
  int64_t parameters = 0;
  int64_t dense_equivalent_parameters = 0;
  int64_t weight_bytes = 0;
  int64_t kv_cache_bytes = 0;
  std::optional<int32_t> bos_id;  // config.json's
  std::vector<int32_t> eos_ids;   // generation_config.json's, else config.json's
  std::vector<LinearInfo> layers;
};

}  // namespace dyad
