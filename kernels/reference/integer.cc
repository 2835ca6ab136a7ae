// kernels/reference/integer.h.
#include "kernels/reference/integer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "kernels/integer.h"
#include "kernels/reference/sums.h"

namespace dyad::kernels::reference {

Quantized Quantize(const std::vector<double>& row) {
  float largest = 0;
  for (const double weight : row) largest = std::max(largest, static_cast<float>(std::abs(weight)));
  Quantized result = {std::vector<double>(row.size(), 0.0), largest / 127.0f};
  if (result.scale < 0x1p-126f) return {std::move(result.whole), 0.0f};
  for (size_t k = 0; k < row.size(); ++k) {
    const float ratio = static_cast<float>(row[k]) / result.scale;
    result.whole[k] = std::nearbyint(ratio);
  }
  return result;
}

std::vector<double> ThroughInt8(std::vector<double> row) {
  const Quantized quantized = Quantize(row);
  for (size_t k = 0; k < row.size(); ++k) {
    row[k] = quantized.whole[k] * static_cast<double>(quantized.scale);
  }
  return row;
}

WholeRow ToWholeRow(Arithmetic arithmetic, std::span<const float> x) {
  uint32_t largest = 0;
  for (const float value : x) {
    largest = std::max(largest, std::bit_cast<uint32_t>(value) & 0x7fffffffu);
  }
  const RowUnit unit = UnitOf(arithmetic, largest);
  WholeRow row = {{}, unit.unit};
  for (const float value : x) row.whole.push_back(ToWhole(arithmetic, value, unit.multiplier));
  return row;
}

void AddWholeSums(Arithmetic arithmetic, const Contract& step, const BufferRows& source,
                  const BufferRows& destination) {
  const auto width = static_cast<size_t>(source.width);
  std::vector<WholeRow> rows;
  for (size_t first = 0; first < source.values.size(); first += width) {
    rows.push_back(ToWholeRow(arithmetic, source.values.subspan(first, width)));
  }
  ForEachSum(step, [&](const Sum& sum) {
    if (sum.feature >= destination.width) return;
    const Quantized weights = Quantize(sum.weights);
    for (size_t t = 0; t < rows.size(); ++t) {
      int64_t whole = 0;
      for (size_t i = 0; i < sum.from.size(); ++i) {
        if (sum.from[i] >= source.width) continue;
        whole += rows[t].whole[static_cast<size_t>(sum.from[i])] *
                 static_cast<int64_t>(weights.whole[i]);
      }
      float& to = destination.values[t * static_cast<size_t>(destination.width) +
                                     static_cast<size_t>(sum.feature)];
      to = std::fma(static_cast<float>(whole) * rows[t].unit, weights.scale, to);
      if (sum.bias.has_value()) to += *sum.bias;
    }
  });
}

}  // namespace dyad::kernels::reference
