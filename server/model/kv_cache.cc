// mmap without reserve: the operating system gives zeroed pages when they are first written.
#include "server/model/kv_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "server/model/message_text.h"

namespace dyad {

absl::StatusOr<KvCache> KvCache::Map(int64_t bytes, int64_t layers,
                                     const kernels::AttentionShape& shape) {
  // Each layer begins on a cache line.
  constexpr int64_t kLineFloats = 64 / sizeof(float);
  const int64_t page_floats = kernels::KvPageFloats(shape);
  const int64_t page_bytes = layers *
                             ((page_floats + kLineFloats - 1) / kLineFloats * kLineFloats) *
                             int64_t{sizeof(float)};
  const int64_t pages = std::min<int64_t>(bytes / page_bytes, std::numeric_limits<int32_t>::max());
  if (pages < 1) {
    return absl::InvalidArgumentError(
        Text("kv_cache_bytes is ", bytes, "; one page of 16 tokens takes ", page_bytes));
  }
  KvCache cache;
  cache.layers_ = layers;
  cache.pages_ = static_cast<int32_t>(pages);
  cache.layer_floats_ = (pages * page_floats + kLineFloats - 1) / kLineFloats * kLineFloats;
  void* data = mmap(nullptr, cache.bytes(), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return absl::ResourceExhaustedError(Text("kv_cache_bytes is ", bytes, "; mapping ",
                                             cache.bytes(),
                                             " bytes failed: ", std::strerror(errno)));
  }
  madvise(data, cache.bytes(), MADV_HUGEPAGE);  // fewer TLB misses; only advice
  cache.data_ = static_cast<float*>(data);
  return cache;
}

KvCache::KvCache(KvCache&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      layers_(other.layers_),
      layer_floats_(other.layer_floats_),
      pages_(other.pages_) {}

KvCache::~KvCache() {
  if (data_ != nullptr) munmap(data_, bytes());
}

int64_t KvCache::bytes() const { return layers_ * layer_floats_ * int64_t{sizeof(float)}; }

}  // namespace dyad
