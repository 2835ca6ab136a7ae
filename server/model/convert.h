// Stored tensors -> numbers in memory: any stored floating-point type and any strides in, row-major
// float32 or weights of one type out. Whatever is read is checked to be finite.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/device.h"
#include "server/checkpoint/stored_tensor.h"
#include "server/model/model_options.h"

namespace dyad {

std::string_view WeightTypeName(kernels::Element type);

// The type in which a weight matrix is kept: the one asked for, or the stored one; float64 becomes
// float32. Errors: InvalidArgument (integers are no weights).
absl::StatusOr<kernels::Element> ChooseWeightType(const NamedTensor& tensor, WeightDtype dtype);

// What a matrix of `dtype` is read as: int8 is made from the weights as they are stored, so that no
// copy in between is larger than those; the others are read as what they are kept in.
WeightDtype SourceDtype(WeightDtype dtype);

// Elements in row-major order: a copy, or the mapped file itself where type, order and alignment
// already fit. The checkpoint must outlive it then.
class WeightMatrix {
 public:
  WeightMatrix() = default;
  explicit WeightMatrix(const std::byte* mapped) : data_(mapped) {}
  explicit WeightMatrix(std::unique_ptr<std::byte[]> owned)
      : owned_(std::move(owned)), data_(owned_.get()) {}

  const std::byte* data() const { return data_; }
  // The copy, made now if there was none, for those who keep it longer than the checkpoint.
  std::unique_ptr<std::byte[]> TakeCopy(int64_t bytes) &&;

 private:
  std::unique_ptr<std::byte[]> owned_;
  const std::byte* data_ = nullptr;
};

// Cost: one pass over the tensor with all that `device` has for work on the host. Memory: the
// result's, nothing beside it. REQUIRES: `type` is not int8, which is made from one of the others.
// Errors: InvalidArgument: not a floating-point type; an element that is not finite, or overflows
// `type`.
absl::StatusOr<WeightMatrix> ReadWeights(const NamedTensor& tensor, kernels::Element type,
                                         kernels::Device& device);
absl::StatusOr<std::vector<float>> ReadFloats(const NamedTensor& tensor, kernels::Device& device);

// Writes `values` to `bytes` as numbers of `type`, which is not int8, up to the first that is not
// finite in it. Returns the index of that one, or values.size().
int64_t NarrowFloats(std::span<const float> values, kernels::Element type, std::byte* bytes);

// Do two tensors hold equal values (of whatever types)? REQUIRES: equal shapes, floating-point
// types.
bool SameValues(const StoredTensor& a, const StoredTensor& b);

}  // namespace dyad
