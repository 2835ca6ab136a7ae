// kernels/reference/int8_attention.h.
#include "kernels/reference/int8_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/exact_math.h"
#include "kernels/reference/integer.h"
#include "kernels/reference/lane_sum.h"

namespace dyad::kernels::reference {
namespace {

constexpr size_t kGroupKeys = 64;  // between two rescalings

int64_t Product(const WholeRow& a, const WholeRow& b) {
  int64_t sum = 0;
  for (size_t d = 0; d < a.whole.size(); ++d) sum += int64_t{a.whole[d]} * b.whole[d];
  return sum;
}

}  // namespace

std::vector<float> AttendInt8(const AttentionShape& shape, std::span<const float> query,
                              std::span<const std::vector<float>> keys,
                              std::span<const std::vector<float>> values) {
  const WholeRow q = ToWholeRow(Arithmetic::kInteger16, query);
  std::vector<float> sums(query.size());
  float maximum = -std::numeric_limits<float>::infinity(), total = 0;
  for (size_t first = 0; first < keys.size(); first += kGroupKeys) {
    const size_t count = std::min(kGroupKeys, keys.size() - first);
    std::vector<float> weights;
    float now = maximum;
    for (size_t t = 0; t < count; ++t) {
      const WholeRow k = ToWholeRow(Arithmetic::kInteger8, keys[first + t]);
      weights.push_back(static_cast<float>(Product(q, k)) * q.unit * k.unit * shape.scale);
      now = std::max(now, weights.back());
    }
    for (float& weight : weights) weight = exact::Exp(weight - now);
    const float rescale = exact::Exp(maximum - now);
    total = std::fma(total, rescale, LaneSum(weights));
    maximum = now;
    std::vector<WholeRow> rows;
    for (size_t t = 0; t < count; ++t) {
      rows.push_back(ToWholeRow(Arithmetic::kInteger8, values[first + t]));
      weights[t] *= rows.back().unit;
    }
    const WholeRow w = ToWholeRow(Arithmetic::kInteger16, weights);
    for (size_t d = 0; d < sums.size(); ++d) {
      int64_t sum = 0;
      for (size_t t = 0; t < count; ++t) sum += int64_t{w.whole[t]} * rows[t].whole[d];
      sums[d] = static_cast<float>(sum) * w.unit + sums[d] * rescale;
    }
  }
  for (float& sum : sums) sum /= total;
  return sums;
}

}  // namespace dyad::kernels::reference
