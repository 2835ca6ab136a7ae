// Aligned memory and scratch: kernels/cpu/aligned_buffer.h.
#include "kernels/cpu/aligned_buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>

namespace dyad::kernels {
namespace {

constexpr int64_t kCacheLine = 64;
constexpr int64_t kHugePage = 2 << 20;
constexpr int64_t kPiece = 32 << 20;  // only what is touched of it takes memory

int64_t RoundUp(int64_t bytes, int64_t unit) { return (bytes + unit - 1) / unit * unit; }

std::shared_ptr<std::byte> Allocate(int64_t bytes) {
  const int64_t alignment = bytes >= kHugePage ? kHugePage : kCacheLine;
  const auto rounded = static_cast<size_t>(RoundUp(bytes, alignment));
  void* memory = std::aligned_alloc(static_cast<size_t>(alignment), rounded);
  if (memory == nullptr) throw std::bad_alloc();
  // Only advice: without it the kernels are slower, not wrong.
  if (alignment == kHugePage) madvise(memory, rounded, MADV_HUGEPAGE);
  return {static_cast<std::byte*>(memory), &std::free};
}

// Where the next buffer that is kept goes. Does not own the piece: its buffers do.
struct Piece {
  std::mutex mutex;
  std::weak_ptr<std::byte> memory;
  int64_t used = 0;
  int64_t size = 0;
};

}  // namespace

AlignedBuffer::AlignedBuffer(int64_t bytes) : bytes_(bytes) {
  if (bytes > 0) data_ = Allocate(bytes);
}

AlignedBuffer AlignedBuffer::Kept(int64_t bytes) {
  static auto& piece = *new Piece;  // never destroyed: buffers may outlive static objects
  AlignedBuffer buffer;
  if (bytes == 0) return buffer;
  const std::lock_guard lock(piece.mutex);
  std::shared_ptr<std::byte> memory = piece.memory.lock();
  if (memory == nullptr || piece.size - piece.used < bytes) {
    piece.size = std::max(RoundUp(bytes, kHugePage), kPiece);
    piece.used = 0;
    memory = Allocate(piece.size);
    piece.memory = memory;
  }
  buffer.data_ = std::shared_ptr<std::byte>(memory, memory.get() + piece.used);
  buffer.bytes_ = bytes;
  piece.used += RoundUp(bytes, kCacheLine);
  return buffer;
}

std::byte* Scratch::Bytes(ScratchUse use, int64_t bytes) {
  AlignedBuffer& buffer = buffers_[static_cast<size_t>(use)];
  if (buffer.bytes() < bytes) {
    buffer = AlignedBuffer();  // first free the old one: the peak is one buffer
    buffer = AlignedBuffer(bytes);
  }
  return buffer.as<std::byte>();
}

}  // namespace dyad::kernels
