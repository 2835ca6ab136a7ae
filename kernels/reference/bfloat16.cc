// kernels/reference/bfloat16.h.
#include "kernels/reference/bfloat16.h"

#include <cstddef>

#include "kernels/bfloat16.h"

namespace dyad::kernels::reference {

float AddBfloat16Term(std::span<const float> w, std::span<const float> x, float sum) {
  const auto rounded = [&](size_t k) { return FromBfloat16(ToBfloat16Activation(x[k])); };
  for (size_t k = 0; k < w.size(); k += 2) {
    const bool pair = k + 1 < w.size();
    sum = AddBfloat16Product(pair ? rounded(k + 1) : 0.0f, pair ? w[k + 1] : 0.0f, sum);
    sum = AddBfloat16Product(rounded(k), w[k], sum);
  }
  return sum;
}

}  // namespace dyad::kernels::reference
