// A checkpoint in memory, and what a loader needs around it. Tensors may be shapes without values,
// for networks too large for a test: the checking pass reads none.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "kernels/thread_pool.h"
#include "server/model/checkpoint.h"
#include "server/model/load_context.h"
#include "server/model/structured_linear.h"
#include "server/model/tensor_source.h"

namespace dyad::testing {

class FakeCheckpoint final : public Checkpoint {
 public:
  const absl::flat_hash_map<std::string, StoredTensor>& tensors() const override {
    return tensors_;
  }
  const std::vector<std::string>& files() const override { return files_; }
  void Release(const StoredTensor& tensor) const override { released_.push_back(&tensor); }
  const std::vector<const StoredTensor*>& released() const { return released_; }

  void AddShape(const std::string& name, std::vector<int64_t> shape,
                StoredType type = StoredType::kFloat32) {
    StoredTensor tensor;
    tensor.type = type;
    tensor.strides = ContiguousStrides(shape);
    tensor.shape = std::move(shape);
    tensor.file = files_.front();
    tensors_[name] = std::move(tensor);
  }

  template <typename T>
  void Add(const std::string& name, std::vector<int64_t> shape, const std::vector<T>& values,
           StoredType type) {
    AddShape(name, std::move(shape), type);
    values_.emplace_back(reinterpret_cast<const std::byte*>(values.data()),
                         reinterpret_cast<const std::byte*>(values.data() + values.size()));
    tensors_[name].data = values_.back().data();
  }
  void Add(const std::string& name, std::vector<int64_t> shape, const std::vector<float>& values) {
    Add<float>(name, std::move(shape), values, StoredType::kFloat32);
  }

  StoredTensor& at(const std::string& name) { return tensors_.at(name); }

 private:
  absl::flat_hash_map<std::string, StoredTensor> tensors_;
  std::vector<std::string> files_ = {"model.safetensors"};
  std::deque<std::vector<std::byte>> values_;
  mutable std::vector<const StoredTensor*> released_;
};

// A LoadContext over a fake checkpoint.
struct Loading {
  explicit Loading(const Checkpoint& checkpoint, LoadPass pass = LoadPass::kPack,
                   WeightDtype dtype = WeightDtype::kAsStored)
      : tensors(checkpoint, "model."),
        context{.tensors = tensors,
                .structured = structured,
                .dyad_dim = std::nullopt,
                .weight_dtype = dtype,
                .pass = pass,
                .pool = pool,
                .tally = {},
                .linear_paths = {}} {}

  kernels::ThreadPool pool{2};
  TensorSource tensors;
  StructuredLinear structured;
  LoadContext context;
};

// Distinct values that are exact in every type: multiples of 1/8 in [−4, 4).
inline std::vector<float> Eighths(int64_t count, uint32_t seed) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    values.push_back(static_cast<float>(seed >> 26) / 8.0f - 4.0f);
  }
  return values;
}

}  // namespace dyad::testing
