// kernels/reference/tensor.h.
#include "kernels/reference/tensor.h"

#include <algorithm>
#include <cmath>

namespace dyad::kernels::reference {
namespace {

// significand · 2^exponent, with |significand| in [1, 2), or below where the exponent is `least`.
struct Parts {
  double significand = 0;
  int exponent = 0;
};

Parts Split(double value, int least) {
  Parts parts;
  parts.significand = std::frexp(value, &parts.exponent) * 2;
  --parts.exponent;
  if (parts.exponent >= least) return parts;
  return {std::ldexp(parts.significand, parts.exponent - least), least};
}

float CutToFloat(double value) {
  if (std::fabs(value) < 0x1p-126) {
    return static_cast<float>(std::ldexp(std::trunc(std::ldexp(value, 149)), -149));
  }
  const auto rounded = static_cast<float>(value);
  return std::fabs(rounded) > std::fabs(value) ? std::nextafter(rounded, 0.0f) : rounded;
}

float AddProducts(const TensorCore& core, const float* a, const float* b, float c, int least) {
  constexpr int kLeastCommon = -133;
  Parts terms[17];
  int count = 0, largest = kLeastCommon;
  const auto add = [&](Parts term) {
    largest = std::max(largest, term.exponent);
    terms[count++] = term;
  };
  if (c != 0) add(Split(c, kBfloat16Least));
  for (int k = 0; k < core.terms; ++k) {
    if (a[k] == 0 || b[k] == 0) continue;
    const Parts of_a = Split(a[k], least), of_b = Split(b[k], least);
    add({of_a.significand * of_b.significand, of_a.exponent + of_b.exponent});
  }
  double sum = 0;
  for (int i = 0; i < count; ++i) {
    sum += std::trunc(std::ldexp(terms[i].significand, core.bits + terms[i].exponent - largest));
  }
  const float result = CutToFloat(std::ldexp(sum, largest - core.bits));
  return result == 0 ? 0.0f : result;
}

}  // namespace

float MultiplyTensor(const TensorCore& core, const float* a, const float* b, float c, int least) {
  for (int k = 0; k < 16; k += core.terms) c = AddProducts(core, a + k, b + k, c, least);
  return c;
}

}  // namespace dyad::kernels::reference
