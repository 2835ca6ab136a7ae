// Memory of a device that ends with its owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <new>
#include <span>
#include <utility>

#include "kernels/cuda/runtime.h"

namespace dyad::kernels::cuda {

enum class Where { kDevice, kPinned };

// A piece of `count` T. Throws std::bad_alloc where there is none.
template <typename T, Where where = Where::kDevice>
class Piece {
 public:
  Piece() = default;
  Piece(Runtime& runtime, int64_t count) : runtime_(&runtime), count_(count) {
    if (count == 0) return;
    const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
    data_ = static_cast<T*>(where == Where::kDevice ? runtime.Allocate(bytes)
                                                    : runtime.AllocateHost(bytes));
    if (data_ == nullptr) throw std::bad_alloc();
  }
  Piece(Piece&& other) noexcept { *this = std::move(other); }
  Piece& operator=(Piece&& other) noexcept {
    std::swap(runtime_, other.runtime_);
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~Piece() {
    if (data_ == nullptr) return;
    if constexpr (where == Where::kDevice) {
      runtime_->Free(data_);
    } else {
      runtime_->FreeHost(data_);
    }
  }

  T* data() const { return data_; }
  int64_t count() const { return count_; }
  int64_t bytes() const { return count_ * static_cast<int64_t>(sizeof(T)); }

 private:
  Runtime* runtime_ = nullptr;
  T* data_ = nullptr;
  int64_t count_ = 0;
};

template <typename T>
using PinnedPiece = Piece<T, Where::kPinned>;

// Room for what was asked for at most so far; it never shrinks. What it held is lost when it grows,
// to at least twice its size. Growing waits for the device; in steady state nothing grows.
template <typename T, Where where = Where::kDevice>
class Room {
 public:
  T* Get(Runtime& runtime, int64_t count) {
    if (piece_.count() < count) {
      const int64_t size = std::max(count, 2 * piece_.count());
      runtime.Wait();
      piece_ = Piece<T, where>();
      piece_ = Piece<T, where>(runtime, size);
    }
    return piece_.data();
  }

 private:
  Piece<T, where> piece_;
};

// Uploads through pinned memory of its own, piece by piece; done when it returns.
void Upload(Runtime& runtime, void* to, const void* from, int64_t bytes);

// The values in memory of the device.
template <typename T>
Piece<T> UploadedPiece(Runtime& runtime, std::span<const T> values) {
  Piece<T> piece(runtime, static_cast<int64_t>(values.size()));
  Upload(runtime, piece.data(), values.data(), piece.bytes());
  return piece;
}

}  // namespace dyad::kernels::cuda
