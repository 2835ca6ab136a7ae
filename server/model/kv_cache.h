// The memory behind the KV pages: one mapping for all layers, touched as pages are used.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "kernels/attention.h"

namespace dyad {

class KvCache {
 public:
  // As many pages as fit `bytes` over all layers. Reserves addresses, not memory.
  // Errors: InvalidArgument: not one page fits; ResourceExhausted: no such range of addresses.
  static absl::StatusOr<KvCache> Map(int64_t bytes, int64_t layers,
                                     const kernels::AttentionShape& shape);
  KvCache(KvCache&& other) noexcept;
  KvCache& operator=(KvCache&&) = delete;
  ~KvCache();

  kernels::KvLayer layer(int64_t index) const { return {data_ + index * layer_floats_}; }
  int32_t pages() const { return pages_; }
  int64_t bytes() const;  // mapped

 private:
  KvCache() = default;

  float* data_ = nullptr;
  int64_t layers_ = 0;
  int64_t layer_floats_ = 0;
  int32_t pages_ = 0;
};

}  // namespace dyad
