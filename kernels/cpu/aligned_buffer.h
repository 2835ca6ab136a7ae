// Memory for weights and scratch: 64-byte aligned, huge pages advised when large.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace dyad::kernels {

// Owns uninitialised bytes. A page fault costs microseconds on virtual machines and a 2 MiB page
// saves 511 of them, so buffers of 2 MiB or more are aligned to that and advised.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(int64_t bytes);
  // For what is kept: buffers that are taken one after another lie side by side in pieces of
  // 32 MiB or more, so that small ones are on huge pages, too, and none wastes the end of one. A
  // piece is freed with the last buffer in it. Any thread.
  static AlignedBuffer Kept(int64_t bytes);

  AlignedBuffer(AlignedBuffer&&) noexcept = default;
  AlignedBuffer& operator=(AlignedBuffer&&) noexcept = default;

  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_.get());
  }
  int64_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<std::byte> data_;
  int64_t bytes_ = 0;
};

// What a kernel needs memory for while it runs; each use has its own, so that they may nest.
enum class ScratchUse {
  kRows,
  kBuffers,
  kSums,
  kPanel,
  kPartials,
  kLogits,
  kTasks,
  kRanks,
  kTop,
  kBest,
  kUnadjusted,
  kWeights,
  kItems,
  kItemRows,
  kWhole,
  kChoices,
  kCount
};

// Memory of one owner for what it does now, a piece for each use. A piece grows to the largest size
// asked for and stays: nothing is allocated in steady state. Threads: one at a time.
class Scratch {
 public:
  // Room for `count` elements until the same use is asked for again; contents are undefined.
  template <typename T>
  T* Get(ScratchUse use, int64_t count) {
    return reinterpret_cast<T*>(Bytes(use, count * static_cast<int64_t>(sizeof(T))));
  }

 private:
  std::byte* Bytes(ScratchUse use, int64_t bytes);

  std::array<AlignedBuffer, static_cast<size_t>(ScratchUse::kCount)> buffers_;
};

}  // namespace dyad::kernels
