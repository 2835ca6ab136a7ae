// LibTorch tensors as memory for the kernels: 2-D, float32, rows contiguous. Includes LibTorch: for
// .cc files of this folder only.
#pragma once

#include "ATen/core/Tensor.h"
#include "kernels/linear.h"

namespace dyad {

inline kernels::ConstRows ReadRows(const at::Tensor& x) {
  return {x.data_ptr<float>(), x.stride(0)};
}

inline kernels::Rows WriteRows(const at::Tensor& y) { return {y.data_ptr<float>(), y.stride(0)}; }

}  // namespace dyad
