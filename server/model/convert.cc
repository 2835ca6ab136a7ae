// Reads tensors piece by piece: widen a piece to float32, look for what is not finite, narrow it.
#include "server/model/convert.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "kernels/float16.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

using kernels::Element;
using kernels::FromBfloat16;
using kernels::FromFloat16;
using kernels::ToBfloat16;
using kernels::ToFloat16;

constexpr int64_t kPiece =
    8192;  // elements a task converts at once: 32 KiB of float32, half a level-1 cache

bool IsFloating(StoredType type) {
  return type == StoredType::kFloat32 || type == StoredType::kFloat16 ||
         type == StoredType::kBfloat16 || type == StoredType::kFloat64;
}

absl::Status RequireFloating(const NamedTensor& tensor) {
  if (IsFloating(tensor.stored->type)) return absl::OkStatus();
  return absl::InvalidArgumentError(Text(TensorText(tensor), " is ",
                                         StoredName(tensor.stored->type),
                                         "; expected float32, float16, bfloat16 or float64"));
}

template <typename T>
T Load(const std::byte* address) {  // files promise no alignment
  T value;
  std::memcpy(&value, address, sizeof(T));
  return value;
}

double ValueAt(const StoredTensor& tensor, int64_t offset) {
  const std::byte* address = tensor.data + offset * StoredBytes(tensor.type);
  switch (tensor.type) {
    case StoredType::kFloat32:
      return Load<float>(address);
    case StoredType::kFloat16:
      return FromFloat16(Load<uint16_t>(address));
    case StoredType::kBfloat16:
      return FromBfloat16(Load<uint16_t>(address));
    default:
      return Load<double>(address);
  }
}

// Position of an element in a tensor, from its number in row-major order.
std::vector<int64_t> IndexOf(const StoredTensor& tensor, int64_t number) {
  std::vector<int64_t> index(tensor.shape.size());
  for (size_t i = index.size(); i-- > 0;) {
    index[i] = number % tensor.shape[i];
    number /= tensor.shape[i];
  }
  return index;
}

int64_t OffsetOf(const StoredTensor& tensor, int64_t number) {
  const std::vector<int64_t> index = IndexOf(tensor, number);
  int64_t offset = 0;
  for (size_t i = 0; i < index.size(); ++i) offset += index[i] * tensor.strides[i];
  return offset;
}

// Elements first, first + 1, … in row-major order, as float32.
void Widen(const StoredTensor& tensor, int64_t first, std::span<float> out) {
  const int64_t count = static_cast<int64_t>(out.size());
  if (!tensor.contiguous()) {
    for (int64_t i = 0; i < count; ++i) {
      out[i] = static_cast<float>(ValueAt(tensor, OffsetOf(tensor, first + i)));
    }
    return;
  }
  const std::byte* data = tensor.data + first * StoredBytes(tensor.type);
  switch (tensor.type) {
    case StoredType::kFloat32:
      std::memcpy(out.data(), data, out.size_bytes());
      break;
    case StoredType::kFloat16:
      for (int64_t i = 0; i < count; ++i) out[i] = FromFloat16(Load<uint16_t>(data + 2 * i));
      break;
    case StoredType::kBfloat16:
      for (int64_t i = 0; i < count; ++i) out[i] = FromBfloat16(Load<uint16_t>(data + 2 * i));
      break;
    default:
      for (int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(Load<double>(data + 8 * i));
  }
}

// Of at most kPiece values. Index of the first that is not finite in `type`, or values.size().
// Writes them to `bytes` unless it is null.
int64_t Narrow(std::span<const float> values, Element type, std::byte* bytes) {
  const int64_t count = static_cast<int64_t>(values.size());
  uint16_t halves[kPiece];
  int64_t bad = count;
  for (int64_t i = count - 1; i >= 0; --i) {
    bool finite = std::isfinite(values[i]);
    if (type == Element::kFloat16) {
      halves[i] = ToFloat16(values[i]);
      finite = (halves[i] & 0x7c00u) != 0x7c00u;
    } else if (type == Element::kBfloat16) {
      halves[i] = ToBfloat16(values[i]);
      finite = (halves[i] & 0x7f80u) != 0x7f80u;
    }
    if (!finite) bad = i;
  }
  if (bytes == nullptr) return bad;
  if (type == Element::kFloat32) {
    std::memcpy(bytes, values.data(), values.size_bytes());
  } else {
    std::memcpy(bytes, halves, count * sizeof(uint16_t));
  }
  return bad;
}

absl::Status NotFinite(const NamedTensor& tensor, int64_t number, Element type) {
  const double value = ValueAt(*tensor.stored, OffsetOf(*tensor.stored, number));
  const std::string where = Text(TensorText(tensor), ": element ",
                                 ShapeText(IndexOf(*tensor.stored, number)), " is ", value);
  if (!std::isfinite(value)) {
    return absl::InvalidArgumentError(Text(where, "; expected a finite number"));
  }
  return absl::InvalidArgumentError(Text(where, ", which overflows ", WeightTypeName(type)));
}

// Converts all elements to `type` at `bytes`, or only checks them where `bytes` is null.
absl::Status Convert(const NamedTensor& tensor, Element type, std::byte* bytes,
                     kernels::Device& device) {
  RETURN_IF_ERROR(RequireFloating(tensor));
  const int64_t elements = tensor.stored->elements();
  std::atomic<int64_t> first_bad = std::numeric_limits<int64_t>::max();
  device.RunOnHost((elements + kPiece - 1) / kPiece, [&](int64_t piece) {
    float values[kPiece];
    const int64_t first = piece * kPiece;
    const int64_t count = std::min(kPiece, elements - first);
    Widen(*tensor.stored, first, {values, static_cast<size_t>(count)});
    std::byte* out = bytes == nullptr ? nullptr : bytes + first * kernels::ElementBytes(type);
    const int64_t bad = Narrow({values, static_cast<size_t>(count)}, type, out);
    if (bad == count) return;
    int64_t seen = first_bad.load();
    while (first + bad < seen && !first_bad.compare_exchange_weak(seen, first + bad)) {
    }
  });
  if (first_bad.load() == std::numeric_limits<int64_t>::max()) return absl::OkStatus();
  return NotFinite(tensor, first_bad.load(), type);
}

// Can the kernels read the mapped elements as they are?
bool UsableInPlace(const StoredTensor& tensor, Element type) {
  const bool same = (tensor.type == StoredType::kFloat32 && type == Element::kFloat32) ||
                    (tensor.type == StoredType::kFloat16 && type == Element::kFloat16) ||
                    (tensor.type == StoredType::kBfloat16 && type == Element::kBfloat16);
  const auto address = reinterpret_cast<uintptr_t>(tensor.data);
  return same && tensor.contiguous() && address % kernels::ElementBytes(type) == 0;
}

}  // namespace

std::string_view WeightTypeName(Element type) {
  switch (type) {
    case Element::kFloat32:
      return "float32";
    case Element::kBfloat16:
      return "bfloat16";
    case Element::kFloat16:
      return "float16";
    case Element::kInt8:
      return "int8";
  }
  return "unknown";
}

WeightDtype SourceDtype(WeightDtype dtype) {
  return dtype == WeightDtype::kInt8 ? WeightDtype::kAsStored : dtype;
}

absl::StatusOr<Element> ChooseWeightType(const NamedTensor& tensor, WeightDtype dtype) {
  RETURN_IF_ERROR(RequireFloating(tensor));
  switch (dtype) {
    case WeightDtype::kFloat32:
      return Element::kFloat32;
    case WeightDtype::kFloat16:
      return Element::kFloat16;
    case WeightDtype::kBfloat16:
      return Element::kBfloat16;
    case WeightDtype::kInt8:
      return Element::kInt8;
    case WeightDtype::kAsStored:
      break;
  }
  switch (tensor.stored->type) {
    case StoredType::kFloat16:
      return Element::kFloat16;
    case StoredType::kBfloat16:
      return Element::kBfloat16;
    default:
      return Element::kFloat32;
  }
}

std::unique_ptr<std::byte[]> WeightMatrix::TakeCopy(int64_t bytes) && {
  if (owned_ != nullptr) return std::move(owned_);
  auto copy = std::make_unique_for_overwrite<std::byte[]>(bytes);
  std::memcpy(copy.get(), data_, bytes);
  return copy;
}

int64_t NarrowFloats(std::span<const float> values, Element type, std::byte* bytes) {
  const int64_t count = std::ssize(values);
  for (int64_t first = 0; first < count; first += kPiece) {
    const auto piece = values.subspan(static_cast<size_t>(first),
                                      static_cast<size_t>(std::min(kPiece, count - first)));
    const int64_t bad = Narrow(piece, type, bytes + first * kernels::ElementBytes(type));
    if (bad < std::ssize(piece)) return first + bad;
  }
  return count;
}

absl::StatusOr<WeightMatrix> ReadWeights(const NamedTensor& tensor, Element type,
                                         kernels::Device& device) {
  if (UsableInPlace(*tensor.stored, type)) {
    RETURN_IF_ERROR(Convert(tensor, type, nullptr, device));
    return WeightMatrix(tensor.stored->data);
  }
  RETURN_IF_ERROR(RequireFloating(tensor));
  auto bytes = std::make_unique_for_overwrite<std::byte[]>(tensor.stored->elements() *
                                                           kernels::ElementBytes(type));
  RETURN_IF_ERROR(Convert(tensor, type, bytes.get(), device));
  return WeightMatrix(std::move(bytes));
}

absl::StatusOr<std::vector<float>> ReadFloats(const NamedTensor& tensor, kernels::Device& device) {
  RETURN_IF_ERROR(RequireFloating(tensor));
  std::vector<float> values(tensor.stored->elements());
  RETURN_IF_ERROR(
      Convert(tensor, Element::kFloat32, reinterpret_cast<std::byte*>(values.data()), device));
  return values;
}

bool SameValues(const StoredTensor& a, const StoredTensor& b) {
  if (a.data == b.data && a.type == b.type && a.strides == b.strides) return true;
  std::vector<float> piece_a(kPiece), piece_b(kPiece);
  for (int64_t first = 0; first < a.elements(); first += kPiece) {
    const size_t count = static_cast<size_t>(std::min(kPiece, a.elements() - first));
    Widen(a, first, std::span(piece_a).first(count));
    Widen(b, first, std::span(piece_b).first(count));
    // Bitwise: a NaN is found later, where the tensor is read, with a better message.
    if (std::memcmp(piece_a.data(), piece_b.data(), count * sizeof(float)) != 0) return false;
  }
  return true;
}

}  // namespace dyad
