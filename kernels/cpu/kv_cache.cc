// mmap without reserve: the operating system gives zeroed pages when they are first written, or
// asked for.
#include "kernels/cpu/kv_cache.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace dyad::kernels {
Fault KvCache::Map(const KvSpec& spec) {
  layers_ = spec.layers;
  pages_ = spec.pages;
  type_ = spec.type;
  // Whole cache lines, so that each layer begins on one.
  layer_bytes_ = pages_ * KvPageBytes(spec.shape, spec.type);
  void* data = mmap(nullptr, static_cast<size_t>(bytes()), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return "mapping " + std::to_string(bytes()) + " bytes failed: " + std::strerror(errno);
  }
  madvise(data, static_cast<size_t>(bytes()), MADV_HUGEPAGE);  // fewer TLB misses; only advice
  data_ = static_cast<std::byte*>(data);
  return {};
}

KvCache::~KvCache() {
  if (data_ != nullptr) munmap(data_, static_cast<size_t>(bytes()));
}

bool KvCache::Populate(int64_t layer, int32_t first, int32_t last) const {
  const auto base = reinterpret_cast<uintptr_t>(data_ + layer * layer_bytes_);
  const uintptr_t begin = base + static_cast<uintptr_t>(first * layer_page_bytes());
  const uintptr_t end = base + static_cast<uintptr_t>(last * layer_page_bytes());
  // The mapping begins on a page of the system, so this stays within it.
  const uintptr_t aligned = begin & ~(static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)) - 1);
  return madvise(reinterpret_cast<void*>(aligned), end - aligned, MADV_POPULATE_WRITE) == 0;
}

}  // namespace dyad::kernels
