// Vectors by id, kept row-major in one type and widened as they are looked up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/cpu/thread_pool.h"
#include "kernels/device.h"

namespace dyad::kernels {

// Rows as int8, a scale for each: kernels/int8.h.
struct QuantizedRows {
  std::unique_ptr<std::byte[]> data;
  std::vector<float> scales;
};
QuantizedRows QuantizeRows(const TableSource& source, ThreadPool& pool);

class CpuTable final : public Table {
 public:
  // Quantises on `pool` where the source asks for int8.
  CpuTable(TableSource source, ThreadPool& pool);

  int64_t bytes() const override;
  // y[t] = or += row ids[t] + offset. Shapes: y [ids.size(), columns].
  void LookUp(std::span<const int32_t> ids, int64_t offset, Lookup lookup, Rows y) const;

 private:
  std::unique_ptr<std::byte[]> data_;
  Element type_;
  int64_t rows_;
  int64_t columns_;
  std::vector<float> scales_;  // of int8, one for each row
};

}  // namespace dyad::kernels
