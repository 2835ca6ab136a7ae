// Memory for weights and scratch: 64-byte aligned, huge pages advised when large.
#pragma once

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

  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_.get());
  }
  int64_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* data) const;
  };
  std::unique_ptr<std::byte[], Free> data_;
  int64_t bytes_ = 0;
};

// What a kernel needs memory for while it runs; each use has its own, so that they may nest.
enum class ScratchUse { kRows, kSums, kPanel, kPartials, kLogits, kTasks, kCount };

// At least `bytes` that belong to the calling thread until it asks for the same use again. Grows to
// the largest size asked for and stays: nothing is allocated in steady state. Contents are
// undefined.
std::byte* ThreadScratch(ScratchUse use, int64_t bytes);

}  // namespace dyad::kernels
