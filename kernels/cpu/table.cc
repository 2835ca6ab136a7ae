// Look-ups, and quantising by the rules of the linear layers: kernels/cpu/table.h.
#include "kernels/cpu/table.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/float16.h"
#include "kernels/int8.h"

namespace dyad::kernels {
namespace {

// Element i of a row of a floating-point type, as float32.
float Widen(const std::byte* row, Element type, int64_t i) {
  const auto* halves = reinterpret_cast<const uint16_t*>(row);
  return type == Element::kFloat32    ? reinterpret_cast<const float*>(row)[i]
         : type == Element::kBfloat16 ? FromBfloat16(halves[i])
                                      : FromFloat16(halves[i]);
}

}  // namespace

QuantizedRows QuantizeRows(const TableSource& source, ThreadPool& pool) {
  constexpr int64_t kTaskRows = 64;
  const int64_t columns = source.columns;
  QuantizedRows result = {
      std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(source.rows * columns)),
      std::vector<float>(static_cast<size_t>(source.rows))};
  const int64_t row_bytes = columns * ElementBytes(source.stored);
  pool.Run((source.rows + kTaskRows - 1) / kTaskRows, [&](int64_t task) {
    const int64_t last = std::min(source.rows, (task + 1) * kTaskRows);
    for (int64_t row = task * kTaskRows; row < last; ++row) {
      const std::byte* values = source.data + row * row_bytes;
      float largest = 0;
      for (int64_t i = 0; i < columns; ++i) {
        largest = std::max(largest, std::abs(Widen(values, source.stored, i)));
      }
      const float scale = Int8Scale(largest);
      result.scales[static_cast<size_t>(row)] = scale;
      for (int64_t i = 0; i < columns; ++i) {
        result.data[static_cast<size_t>(row * columns + i)] =
            static_cast<std::byte>(QuantizeInt8(Widen(values, source.stored, i), scale));
      }
    }
  });
  return result;
}

namespace {

template <typename Value, typename Widening>
void Take(const Value* values, int64_t columns, Lookup lookup, Widening widen, float* y) {
  if (lookup == Lookup::kCopy) {
    for (int64_t i = 0; i < columns; ++i) y[i] = widen(values[i]);
  } else {
    for (int64_t i = 0; i < columns; ++i) y[i] += widen(values[i]);
  }
}

}  // namespace

CpuTable::CpuTable(TableSource source, ThreadPool& pool)
    : type_(source.type), rows_(source.rows), columns_(source.columns) {
  if (type_ == Element::kInt8) {
    QuantizedRows quantized = QuantizeRows(source, pool);
    data_ = std::move(quantized.data);
    scales_ = std::move(quantized.scales);
    return;
  }
  data_ = std::move(source.owned);
  if (data_ != nullptr) return;
  const auto bytes = static_cast<size_t>(rows_ * columns_ * ElementBytes(type_));
  data_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
  std::memcpy(data_.get(), source.data, bytes);
}

int64_t CpuTable::bytes() const {
  return rows_ * columns_ * ElementBytes(type_) +
         static_cast<int64_t>(scales_.size() * sizeof(float));
}

void CpuTable::LookUp(std::span<const int32_t> ids, int64_t offset, Lookup lookup, Rows y) const {
  for (size_t t = 0; t < ids.size(); ++t) {
    const int64_t row = ids[t] + offset;
    const std::byte* values = data_.get() + row * columns_ * ElementBytes(type_);
    float* to = y.data + static_cast<int64_t>(t) * y.stride;
    const auto* halves = reinterpret_cast<const uint16_t*>(values);
    switch (type_) {
      case Element::kFloat32:
        Take(
            reinterpret_cast<const float*>(values), columns_, lookup, [](float v) { return v; },
            to);
        break;
      case Element::kBfloat16:
        Take(halves, columns_, lookup, FromBfloat16, to);
        break;
      case Element::kFloat16:
        Take(halves, columns_, lookup, FromFloat16, to);
        break;
      case Element::kInt8: {
        const float scale = scales_[static_cast<size_t>(row)];
        Take(
            reinterpret_cast<const int8_t*>(values), columns_, lookup,
            [scale](int8_t v) { return static_cast<float>(v) * scale; }, to);
        break;
      }
    }
  }
}

}  // namespace dyad::kernels
