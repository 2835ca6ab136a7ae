// kernels/reference/tensor.h.
#include "kernels/reference/tensor.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/float16.h"

namespace dyad::kernels::reference {
namespace {

// significand · 2^(exponent - 23), the significand in [2^23, 2^24), or below where the exponent is
// `least`.
struct Parts {
  int64_t significand = 0;
  int exponent = 0;
};

Parts Split(float value, int least) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const int field = static_cast<int>(bits >> 23 & 0xff);
  Parts parts = {bits & 0x7fffff, std::max(field, 1) - 127};
  if (field != 0) parts.significand |= 0x800000;
  if (parts.exponent < least) {
    parts.significand >>= least - parts.exponent;  // exact: values of the format end before
    parts.exponent = least;
  }
  if (bits >> 31 != 0) parts.significand = -parts.significand;
  return parts;
}

float CutToFloat(double value) {
  if (std::fabs(value) < 0x1p-126) {
    return static_cast<float>(std::ldexp(std::trunc(std::ldexp(value, 149)), -149));
  }
  const auto rounded = static_cast<float>(value);
  return std::fabs(rounded) > std::fabs(value) ? std::nextafter(rounded, 0.0f) : rounded;
}

// `value` / 2^places, cut toward zero.
int64_t Cut(int64_t value, int places) {
  if (places < 0) return value << -places;
  if (places > 62) return 0;
  return value < 0 ? -(-value >> places) : value >> places;
}

float AddProducts(const TensorCore& core, const float* a, const float* b, float c, int least) {
  constexpr int kLeastCommon = -133;
  Parts products[16];
  int count = 0, largest = kLeastCommon;
  const Parts of_c = Split(c, kBfloat16Least);
  if (c != 0) largest = std::max(largest, of_c.exponent);
  for (int k = 0; k < core.terms; ++k) {
    if (a[k] == 0 || b[k] == 0) continue;
    const Parts of_a = Split(a[k], least), of_b = Split(b[k], least);
    products[count] = {of_a.significand * of_b.significand, of_a.exponent + of_b.exponent};
    largest = std::max(largest, products[count++].exponent);
  }
  // Whole numbers of 2^(largest - bits). A significand has 23 places, a product 46.
  int64_t sum = Cut(of_c.significand, 23 - core.bits + largest - of_c.exponent);
  for (int i = 0; i < count; ++i) {
    sum += Cut(products[i].significand, 46 - core.bits + largest - products[i].exponent);
  }
  return sum == 0 ? 0.0f : CutToFloat(std::ldexp(static_cast<double>(sum), largest - core.bits));
}

float Narrowed(Element type, float value) {
  return type == Element::kBfloat16 ? FromBfloat16(ToBfloat16(value))
                                    : FromFloat16(ToFloat16(value));
}

int ScaleExponent(Element type, float largest) {
  if (type == Element::kBfloat16 || largest == 0) return 0;
  return std::min(14 - std::ilogb(largest), 126);
}

float AddSegment(const TensorArithmetic& arithmetic, Element type, std::span<const float> w,
                 std::span<const float> x, float total) {
  constexpr float kInfiniteInBfloat16 = 0x1.ffp127f;
  float largest = 0;
  for (const float value : x) {
    if (!(std::fabs(value) < kInfiniteInBfloat16)) return std::numeric_limits<float>::quiet_NaN();
    largest = std::max(largest, std::fabs(value));
  }
  const int exponent = ScaleExponent(type, largest);
  const float scale = std::ldexp(1.0f, exponent), unscale = std::ldexp(1.0f, -exponent);
  const int least = type == Element::kBfloat16 ? kBfloat16Least : kFloat16Least;
  float c = 0;
  for (size_t first = 0; first < x.size(); first += 16) {
    float a[16] = {}, high[16] = {}, low[16] = {};
    for (size_t i = 0; i < std::min<size_t>(16, x.size() - first); ++i) {
      a[i] = w[first + i];
      const float scaled = x[first + i] * scale;
      high[i] = Narrowed(type, scaled);
      low[i] = Narrowed(type, scaled - high[i]);
    }
    if (arithmetic.arithmetic == Arithmetic::kAccurate) {
      c = MultiplyTensor(arithmetic.core, a, low, c, least);
    }
    c = MultiplyTensor(arithmetic.core, a, high, c, least);
  }
  return std::fma(c, unscale, total);
}

}  // namespace

float MultiplyTensor(const TensorCore& core, const float* a, const float* b, float c, int least) {
  for (int k = 0; k < 16; k += core.terms) c = AddProducts(core, a + k, b + k, c, least);
  return c;
}

float AddTensorTerm(const TensorArithmetic& arithmetic, Element type, std::span<const float> w,
                    std::span<const float> x, float total) {
  for (size_t first = 0; first < x.size(); first += kTensorSegment) {
    const size_t count = std::min<size_t>(kTensorSegment, x.size() - first);
    total = AddSegment(arithmetic, type, w.subspan(first, count), x.subspan(first, count), total);
  }
  return total;
}

}  // namespace dyad::kernels::reference
