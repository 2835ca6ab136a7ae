// Tensors to compute into: [rows, columns], float32, not initialised.
#pragma once

#include "ATen/core/Tensor.h"
#include "ATen/ops/empty.h"

namespace dyad::testing {

inline at::Tensor EmptyRows(int64_t rows, int64_t columns) {
  return at::empty({rows, columns}, at::kFloat);
}

}  // namespace dyad::testing
