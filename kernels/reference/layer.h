// What the reference device makes of weights: copies of what they are made from.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/device.h"

namespace dyad::kernels::reference {

class ReferenceLayer final : public Layer {
 public:
  explicit ReferenceLayer(const Plan& plan);

  int64_t in_features() const override { return plan_.in_features(); }
  int64_t out_features() const override { return plan_.out_features(); }
  int64_t weight_bytes() const override { return bytes_; }
  int64_t multiply_adds() const override { return Cost(plan_).multiply_adds; }

  const Plan& plan() const { return plan_; }

 private:
  const void* Keep(const void* data, int64_t bytes);

  Plan plan_;
  int64_t bytes_ = 0;
  std::vector<std::unique_ptr<std::byte[]>> kept_;
};

class ReferenceTable final : public Table {
 public:
  explicit ReferenceTable(const TableSource& source);

  int64_t bytes() const override { return static_cast<int64_t>(values_.size() * sizeof(double)); }
  // Row `id`, as the device's number type holds it.
  std::vector<double> Row(int64_t id) const;

 private:
  int64_t columns_;
  std::vector<double> values_;  // [rows, columns]
};

class ReferenceNorm final : public Norm {
 public:
  explicit ReferenceNorm(NormSource source) : source(std::move(source)) {}
  const NormSource source;
};

}  // namespace dyad::kernels::reference
