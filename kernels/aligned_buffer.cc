// Aligned memory and scratch per thread: kernels/aligned_buffer.h.
#include "kernels/aligned_buffer.h"

#include <sys/mman.h>

#include <array>
#include <cstdlib>
#include <new>

namespace dyad::kernels {
namespace {

constexpr int64_t kCacheLine = 64;
constexpr int64_t kHugePage = 2 << 20;

}  // namespace

AlignedBuffer::AlignedBuffer(int64_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  const int64_t alignment = bytes >= kHugePage ? kHugePage : kCacheLine;
  const int64_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(static_cast<size_t>(alignment), static_cast<size_t>(rounded));
  if (memory == nullptr) throw std::bad_alloc();
  data_.reset(static_cast<std::byte*>(memory));
  // Only advice: without it the kernels are slower, not wrong.
  if (alignment == kHugePage) madvise(memory, static_cast<size_t>(rounded), MADV_HUGEPAGE);
}

void AlignedBuffer::Free::operator()(std::byte* data) const { std::free(data); }

std::byte* ThreadScratch(ScratchUse use, int64_t bytes) {
  thread_local std::array<AlignedBuffer, static_cast<size_t>(ScratchUse::kCount)> buffers;
  AlignedBuffer& buffer = buffers[static_cast<size_t>(use)];
  if (buffer.bytes() < bytes) {
    buffer = AlignedBuffer();  // first free the old one: the peak is one buffer
    buffer = AlignedBuffer(bytes);
  }
  return buffer.as<std::byte>();
}

}  // namespace dyad::kernels
