// The types in which numbers are stored: weights, and embeddings.
#pragma once

#include <cstdint>

namespace dyad::kernels {

// kInt8: w ≈ scale · q, one float32 scale for each output of a step, all its terms together
// (kernels/int8.h).
enum class Element { kFloat32, kBfloat16, kFloat16, kInt8 };

constexpr int64_t ElementBytes(Element element) {  // without scales
  switch (element) {
    case Element::kFloat32:
      return 4;
    case Element::kBfloat16:
    case Element::kFloat16:
      return 2;
    case Element::kInt8:
      return 1;
  }
  return 0;
}

}  // namespace dyad::kernels
