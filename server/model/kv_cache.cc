// mmap without reserve: the operating system gives zeroed pages when they are first written, or
// asked for.
#include "server/model/kv_cache.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "server/base/message_text.h"

namespace dyad {

absl::StatusOr<KvCache> KvCache::Map(int64_t bytes, int64_t layers,
                                     const kernels::AttentionShape& shape, kernels::KvType type) {
  // Whole cache lines, so that each layer begins on one.
  const int64_t layer_page_bytes = kernels::KvPageBytes(shape, type);
  const int64_t page_bytes = layers * layer_page_bytes;
  const int64_t pages = std::min<int64_t>(bytes / page_bytes, std::numeric_limits<int32_t>::max());
  if (pages < 1) {
    return absl::InvalidArgumentError(
        Text("kv_cache_bytes is ", bytes, "; one page of 16 tokens takes ", page_bytes));
  }
  KvCache cache;
  cache.layers_ = layers;
  cache.pages_ = static_cast<int32_t>(pages);
  cache.type_ = type;
  cache.layer_bytes_ = pages * layer_page_bytes;
  void* data = mmap(nullptr, cache.bytes(), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return absl::ResourceExhaustedError(Text("kv_cache_bytes is ", bytes, "; mapping ",
                                             cache.bytes(),
                                             " bytes failed: ", std::strerror(errno)));
  }
  madvise(data, cache.bytes(), MADV_HUGEPAGE);  // fewer TLB misses; only advice
  cache.data_ = static_cast<std::byte*>(data);
  return cache;
}

bool KvCache::Populate(int64_t layer, int32_t first, int32_t last) const {
  const auto base = reinterpret_cast<uintptr_t>(data_ + layer * layer_bytes_);
  const uintptr_t begin = base + first * layer_page_bytes();
  const uintptr_t end = base + last * layer_page_bytes();
  // The mapping begins on a page of the system, so this stays within it.
  const uintptr_t aligned = begin & ~(static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)) - 1);
  return madvise(reinterpret_cast<void*>(aligned), end - aligned, MADV_POPULATE_WRITE) == 0;
}

KvCache::KvCache(KvCache&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      type_(other.type_),
      layers_(other.layers_),
      layer_bytes_(other.layer_bytes_),
      pages_(other.pages_) {}

KvCache::~KvCache() {
  if (data_ != nullptr) munmap(data_, bytes());
}

}  // namespace dyad
