// A checkpoint folder -> a model that the engine can run. The only header of this folder that
// others include; LibTorch is not visible in it. Which files and tensors: server/model/README.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/attention.h"
#include "kernels/thread_pool.h"
#include "server/engine/model.h"

namespace dyad {

// kInt8: quantised while loading, one scale for each row (README.md).
enum class WeightDtype { kAsStored, kFloat32, kFloat16, kBfloat16, kInt8 };

// When the KV cache takes its memory. kAsUsed: as pages are written, on the time of the steps that
// write them. kInBackground: all of it soon after loading, by a thread of its own.
enum class KvPopulation { kAsUsed, kInBackground };

struct ModelOptions {
  WeightDtype weight_dtype = WeightDtype::kAsStored;
  kernels::KvType kv_dtype = kernels::KvType::kFloat32;
  int64_t kv_cache_bytes = int64_t{1} << 30;  // >= one page
  KvPopulation kv_population = KvPopulation::kAsUsed;
  int32_t max_batch_tokens = 512;  // [1, 65536]
  int32_t max_logit_rows = 256;    // [1, 4096]
};

// One linear layer as it was found, in the order of the network.
struct LinearInfo {
  std::string name;     // module path in the checkpoint
  std::string kind;     // "dense", "dyad"
  std::string variant;  // "it", "ot", "dt", or empty
  int32_t blocks = 1;
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
  int64_t parameters = 0;
  int64_t dense_equivalent_parameters = 0;
  int64_t weight_bytes = 0;
  int64_t kv_cache_bytes = 0;
  std::optional<int32_t> bos_id;  // config.json's
  std::optional<int32_t> eos_id;
  std::vector<LinearInfo> layers;
};

struct LoadedModel {
  std::unique_ptr<engine::Model> model;
  ModelInfo info;
};

// Reads, checks and packs the checkpoint in `folder`. `pool` must outlive the model.
// Memory: at most the file's bytes twice, plus the KV cache, as kv_population says.
// Errors: NotFound (no such folder or file), InvalidArgument or DataLoss (what is wrong: file,
// tensor or key, found, expected). Nothing is executed from a checkpoint; sizes are checked before
// memory is taken.
absl::StatusOr<LoadedModel> LoadModel(const std::string& folder, const ModelOptions& options,
                                      kernels::ThreadPool& pool);

// Everything LoadModel checks, without KV cache: for --check.
absl::StatusOr<ModelInfo> CheckModel(const std::string& folder, const ModelOptions& options,
                                     kernels::ThreadPool& pool);

}  // namespace dyad
