// How a model is to be loaded.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/arithmetic.h"
#include "kernels/attention.h"
#include "kernels/densify.h"

namespace dyad {

// kInt8: quantised while loading, one scale for each row (README.md).
enum class WeightDtype { kAsStored, kFloat32, kFloat16, kBfloat16, kInt8 };

// kOnePage: to check a model. What is asked for must still be a page at least.
enum class KvCache { kWhole, kOnePage };

struct ModelOptions {
  WeightDtype weight_dtype = WeightDtype::kAsStored;
  kernels::LayerForm layer_form = kernels::LayerForm::kAuto;
  kernels::KvType kv_dtype = kernels::KvType::kFloat32;
  // What the device must compute with these weights. None: whatever it does.
  std::optional<kernels::Arithmetic> arithmetic = std::nullopt;
  int64_t kv_cache_bytes = int64_t{1} << 30;  // >= one page
  KvCache kv_cache = KvCache::kWhole;
  int32_t max_batch_tokens = 512;  // [1, 65536]
  int32_t max_draws = 256;         // in a step; [1, 4096]
};

}  // namespace dyad
