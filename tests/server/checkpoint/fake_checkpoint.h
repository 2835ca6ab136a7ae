// A checkpoint in memory. Tensors may be shapes without values, for networks too large for a test:
// a loader's checking pass reads none.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/stored_tensor.h"

namespace dyad::testing {

class FakeCheckpoint final : public Checkpoint {
 public:
  const TensorMap& tensors() const override { return tensors_; }
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
  TensorMap tensors_;
  std::vector<std::string> files_ = {"model.safetensors"};
  std::deque<std::vector<std::byte>> values_;
  mutable std::vector<const StoredTensor*> released_;
};

}  // namespace dyad::testing
