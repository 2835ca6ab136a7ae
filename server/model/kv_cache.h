// The memory behind the KV pages: one mapping for all layers, resident as pages are used, or ahead
// of it.
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
                                     const kernels::AttentionShape& shape,
                                     kernels::KvType type = kernels::KvType::kFloat32);
  KvCache(KvCache&& other) noexcept;
  KvCache& operator=(KvCache&&) = delete;
  ~KvCache();

  // Makes the keys and values of pages [first, last) in one layer resident, in huge pages where the
  // system gives them, and up to a huge page around them. Contents stay, and pages may be in use
  // meanwhile; what is resident already costs microseconds. False: the system cannot (Linux before
  // 5.14), or has no memory. Threads: any. REQUIRES: 0 <= first <= last <= pages().
  bool Populate(int64_t layer, int32_t first, int32_t last) const;

  kernels::KvLayer layer(int64_t index) const { return {data_ + index * layer_bytes_, type_}; }
  int64_t layers() const { return layers_; }
  int32_t pages() const { return pages_; }
  int64_t layer_page_bytes() const { return layer_bytes_ / pages_; }  // of a page in one layer
  int64_t bytes() const { return layers_ * layer_bytes_; }            // mapped

 private:
  KvCache() = default;

  std::byte* data_ = nullptr;
  kernels::KvType type_ = kernels::KvType::kFloat32;
  int64_t layers_ = 0;
  int64_t layer_bytes_ = 0;
  int32_t pages_ = 0;
};

}  // namespace dyad
