// Types, shapes and names of stored tensors.
#include "server/checkpoint/stored_tensor.h"

#include <algorithm>

#include "absl/strings/str_join.h"
#include "server/base/message_text.h"

namespace dyad {

int64_t StoredBytes(StoredType type) {
  switch (type) {
    case StoredType::kFloat64:
    case StoredType::kInt64:
      return 8;
    case StoredType::kFloat32:
    case StoredType::kInt32:
      return 4;
    case StoredType::kFloat16:
    case StoredType::kBfloat16:
    case StoredType::kInt16:
      return 2;
    case StoredType::kInt8:
    case StoredType::kUint8:
    case StoredType::kBool:
      return 1;
  }
  return 0;
}

std::string_view StoredName(StoredType type) {
  switch (type) {
    case StoredType::kFloat32:
      return "float32";
    case StoredType::kFloat16:
      return "float16";
    case StoredType::kBfloat16:
      return "bfloat16";
    case StoredType::kFloat64:
      return "float64";
    case StoredType::kInt64:
      return "int64";
    case StoredType::kInt32:
      return "int32";
    case StoredType::kInt16:
      return "int16";
    case StoredType::kInt8:
      return "int8";
    case StoredType::kUint8:
      return "uint8";
    case StoredType::kBool:
      return "bool";
  }
  return "";
}

int64_t StoredTensor::elements() const { return ElementCount(shape).value_or(0); }

bool StoredTensor::contiguous() const {
  if (elements() == 0) return true;
  int64_t expected = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1) continue;  // its stride is never used
    if (strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

int64_t StoredTensor::span_bytes() const {
  if (elements() == 0) return 0;
  int64_t last = 0;
  for (size_t i = 0; i < shape.size(); ++i) last += (shape[i] - 1) * strides[i];
  return (last + 1) * StoredBytes(type);
}

std::string TensorText(const NamedTensor& tensor) {
  return Text(tensor.stored->file, ": tensor ", tensor.name);
}

std::optional<int64_t> ElementCount(std::span<const int64_t> shape) {
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(count, size, &count)) return std::nullopt;
  }
  return count;
}

std::vector<int64_t> ContiguousStrides(std::span<const int64_t> shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    // Only a tensor without elements can overflow here ([0, 2^40, 2^40]); its strides are not used.
    if (__builtin_mul_overflow(stride, std::max<int64_t>(shape[i], 1), &stride)) stride = 0;
  }
  return strides;
}

absl::Status CheckTensorName(std::string_view name) {
  if (name.empty()) return absl::InvalidArgumentError("a tensor's name is empty");
  if (name.size() > kMaxTensorName) {
    return absl::InvalidArgumentError(Text("tensor name ", Quoted(name), " has ", name.size(),
                                           " bytes, expected at most ", kMaxTensorName));
  }
  const auto bad =
      std::find_if(name.begin(), name.end(), [](char c) { return c < 0x20 || c > 0x7e; });
  if (bad != name.end()) {
    return absl::InvalidArgumentError(Text("tensor name ", Quoted(name), " holds byte ",
                                           static_cast<uint8_t>(*bad),
                                           ", expected printable ASCII"));
  }
  return absl::OkStatus();
}

std::string ShapeText(std::span<const int64_t> shape) {
  return Text("[", absl::StrJoin(shape, ", "), "]");
}

}  // namespace dyad
