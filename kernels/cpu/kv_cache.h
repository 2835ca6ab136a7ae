// The memory behind the KV pages: one mapping for all layers, resident as pages are used, or ahead
// of it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kv_layout.h"
#include "kernels/fault.h"

namespace dyad::kernels {

class KvCache {
 public:
  // Maps nothing.
  KvCache() = default;
  KvCache(const KvCache&) = delete;
  KvCache& operator=(const KvCache&) = delete;
  ~KvCache();

  // Reserves addresses, not memory. Fault: there is no such range of addresses. Once.
  Fault Map(const KvSpec& spec);

  // Makes the keys and values of pages [first, last) in one layer resident, in huge pages where the
  // system gives them, and up to a huge page around them. Contents stay, and pages may be in use
  // meanwhile; what is resident already costs microseconds. False: the system cannot (Linux before
  // 5.14), or has no memory. Threads: any. REQUIRES: 0 <= first <= last <= pages().
  bool Populate(int64_t layer, int32_t first, int32_t last) const;

  KvLayer layer(int64_t index) const { return {data_ + index * layer_bytes_, type_}; }
  int64_t layers() const { return layers_; }
  int32_t pages() const { return pages_; }
  int64_t layer_page_bytes() const { return layer_bytes_ / pages_; }  // of a page in one layer
  int64_t bytes() const { return layers_ * layer_bytes_; }            // mapped

 private:
  std::byte* data_ = nullptr;
  KvType type_ = KvType::kFloat32;
  int64_t layers_ = 0;
  int64_t layer_bytes_ = 0;
  int32_t pages_ = 0;
};

}  // namespace dyad::kernels
