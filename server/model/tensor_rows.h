// LibTorch tensors as memory for the kernels: 2-D, float32, rows contiguous. Includes LibTorch: for
// .cc files of this folder only.
#pragma once

#include "ATen/core/Tensor.h"
#include "ATen/ops/empty.h"
#include "kernels/linear.h"

namespace dyad {

// Uninitialised, and not touched: memory counts as resident once it is used.
inline at::Tensor EmptyRows(int64_t rows, int64_t columns) {
  return at::empty({rows, columns}, at::kFloat);
}

inline kernels::ConstRows ReadRows(const at::Tensor& x) {
  return {x.data_ptr<float>(), x.stride(0)};
}

inline kernels::Rows WriteRows(const at::Tensor& y) { return {y.data_ptr<float>(), y.stride(0)}; }

}  // namespace dyad
