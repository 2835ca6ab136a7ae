// How a model is to be loaded.
#pragma once

#include <cstdint>

#include "kernels/attention.h"

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

}  // namespace dyad
