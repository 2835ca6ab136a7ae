// Rows in host memory, and what follows the product of a linear layer.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dyad::kernels {

enum class Activation { kNone, kRelu, kGelu /* erf */, kGeluTanh };

// Rows of a row-major matrix.
struct ConstRows {
  const float* data = nullptr;
  int64_t stride = 0;  // elements from row to row
};
struct Rows {
  float* data = nullptr;
  int64_t stride = 0;
};

struct Epilogue {
  Activation activation = Activation::kNone;
  ConstRows residual;  // added after the activation; data null: none. May be y itself.
};

// Layers that may read the same rows in one call.
inline constexpr size_t kMostTogether = 3;

}  // namespace dyad::kernels
