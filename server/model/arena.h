// The memory of a network's activations: one piece, in huge pages where the system gives them, so
// that steps map no memory and touch few pages. Includes LibTorch: for .cc files of this folder
// only.
#pragma once

#include "ATen/core/Tensor.h"
#include "kernels/aligned_buffer.h"

namespace dyad {

class Arena {
 public:
  Arena() = default;
  // Room for tensors of `rows` rows that have `columns` columns together, at most 16 of them.
  // Not touched: memory counts as resident once it is used. Throws std::bad_alloc.
  Arena(int64_t rows, int64_t columns);

  // The next `columns` columns: [rows, columns], float32, contiguous, aligned to 64 bytes, not
  // initialised. Valid as long as the arena. REQUIRES: there is room.
  at::Tensor Take(int64_t columns);

 private:
  kernels::AlignedBuffer memory_;
  int64_t rows_ = 0;
  int64_t used_ = 0;  // floats
};

}  // namespace dyad
