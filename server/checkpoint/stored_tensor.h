// A tensor as a file holds it: where its bytes lie and how they are to be read. Owns nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/base/string_map.h"

namespace dyad {

enum class StoredType {
  kFloat32,
  kFloat16,
  kBfloat16,
  kFloat64,
  kInt64,
  kInt32,
  kInt16,
  kInt8,
  kUint8,
  kBool
};
int64_t StoredBytes(StoredType type);          // of one element
std::string_view StoredName(StoredType type);  // "float32", "float16", "bfloat16", …

// A tensor in a mapped file. All indices within shape lie inside the file, and elements() is at
// most the number of elements that the file holds for it, so that a copy cannot be larger than the
// file: both were checked when it was read.
struct StoredTensor {
  StoredType type = StoredType::kFloat32;
  std::vector<int64_t> shape;       // >= 0 each; the product fits int64
  std::vector<int64_t> strides;     // in elements, >= 0; as long as shape
  const std::byte* data = nullptr;  // index (0, …, 0); little-endian; ALIGNED TO NOTHING: memcpy
  std::string file;                 // for messages

  int64_t elements() const;    // 1 for a scalar
  bool contiguous() const;     // row-major without gaps; true where there is no element
  int64_t span_bytes() const;  // from data to the end of the last element
};

// A tensor under the name that its file gives it.
struct NamedTensor {
  std::string name;
  const StoredTensor* stored = nullptr;
};
std::string TensorText(const NamedTensor& tensor);  // "FILE: tensor NAME"

using TensorMap = StringMap<StoredTensor>;

// Bounds on what a checkpoint may hold; far beyond any model, and small enough that tables of this
// size fit in a few tens of MiB.
inline constexpr size_t kMaxTensors = 32'768;
inline constexpr size_t kMaxDimensions = 16;
inline constexpr size_t kMaxTensorName = 512;  // bytes

// The product, or nothing where a size is negative or a partial product exceeds int64.
std::optional<int64_t> ElementCount(std::span<const int64_t> shape);

// Row-major strides. REQUIRES: ElementCount(shape) has a value.
std::vector<int64_t> ContiguousStrides(std::span<const int64_t> shape);

// Names are 1 to kMaxTensorName bytes of printable ASCII: what Python modules are called, and safe
// in every message and log line. Error: InvalidArgument, without the file's name.
absl::Status CheckTensorName(std::string_view name);

std::string ShapeText(std::span<const int64_t> shape);  // "[2, 3]"

}  // namespace dyad
