// The safetensors format.
#include "server/checkpoint/safetensors.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/base/json.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/checkpoint/byte_reader.h"

namespace dyad {
namespace {

constexpr JsonBounds kBounds = {.max_bytes = kMaxSafetensorsHeader, .max_depth = 8};

constexpr struct {
  std::string_view name;
  StoredType type;
} kTypes[] = {{"F32", StoredType::kFloat32},   {"F16", StoredType::kFloat16},
              {"BF16", StoredType::kBfloat16}, {"F64", StoredType::kFloat64},
              {"I64", StoredType::kInt64},     {"I32", StoredType::kInt32},
              {"I16", StoredType::kInt16},     {"I8", StoredType::kInt8},
              {"U8", StoredType::kUint8},      {"BOOL", StoredType::kBool}};

std::optional<StoredType> TypeNamed(std::string_view name) {
  for (const auto& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

struct Entry {
  std::string name;
  std::optional<StoredType> type;
  std::optional<std::vector<int64_t>> shape;
  std::optional<std::vector<int64_t>> offsets;  // begin, end
};

// Events -> entries. Checks the header's form; sizes are checked afterwards, when all are known.
class HeaderHandler : public JsonHandler {
 public:
  std::vector<Entry>& entries() { return entries_; }

  bool start_object(size_t) override {
    if (place_ == Place::kOutside) return Go(Place::kHeader);
    if (place_ != Place::kHeader) return Unexpected("an object");
    return Go(key_ == "__metadata__" ? Place::kMetadata : Place::kTensor);
  }

  bool end_object() override {
    if (place_ != Place::kTensor) {
      return Go(place_ == Place::kMetadata ? Place::kHeader : Place::kOutside);
    }
    const Entry& entry = entries_.back();
    const char* missing = !entry.type      ? "dtype"
                          : !entry.shape   ? "shape"
                          : !entry.offsets ? "data_offsets"
                                           : nullptr;
    if (missing != nullptr) return FailIn(Text("has no ", missing, ", expected one"));
    if (entry.offsets->size() != 2) {
      return FailIn(Text("data_offsets has ", entry.offsets->size(), " numbers, expected 2"));
    }
    return Go(Place::kHeader);
  }

  bool key(string_t& key) override {
    key_ = std::move(key);
    if (place_ == Place::kTensor) return KnownField();
    if (place_ != Place::kHeader || key_ == "__metadata__") return true;
    if (absl::Status status = CheckTensorName(key_); !status.ok())
      return Fail(std::string(status.message()));
    if (entries_.size() == kMaxTensors) {
      return Fail(Text("header lists more than ", kMaxTensors, " tensors, expected less"));
    }
    entries_.emplace_back().name = key_;
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) return true;
    if (place_ != Place::kTensor || key_ != "dtype") return Unexpected("a string");
    entries_.back().type = TypeNamed(value);
    if (entries_.back().type) return true;
    return FailIn(Text("dtype is ", Quoted(value),
                       ", expected F32, F16, BF16, F64, I64, I32, I16, I8, U8 or BOOL"));
  }

  bool start_array(size_t) override {
    if (place_ != Place::kTensor || key_ == "dtype") return Unexpected("an array");
    if (key_ == "shape") entries_.back().shape.emplace();
    if (key_ == "data_offsets") entries_.back().offsets.emplace();
    return Go(Place::kNumbers);
  }
  bool end_array() override { return Go(Place::kTensor); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kNumbers) return Unexpected("a number");
    if (value > static_cast<uint64_t>(INT64_MAX)) return Unexpected("a number above 2^63 - 1");
    Entry& entry = entries_.back();
    auto& numbers = key_ == "shape" ? *entry.shape : *entry.offsets;
    if (numbers.size() == kMaxDimensions) {
      return FailIn(Text(key_, " has more than ", kMaxDimensions, " numbers, expected less"));
    }
    numbers.push_back(static_cast<int64_t>(value));
    return true;
  }

 private:
  enum class Place { kOutside, kHeader, kMetadata, kTensor, kNumbers };

  bool Go(Place place) {
    place_ = place;
    return true;
  }

  bool KnownField() {
    const Entry& entry = entries_.back();
    const bool given = key_ == "dtype"          ? entry.type.has_value()
                       : key_ == "shape"        ? entry.shape.has_value()
                       : key_ == "data_offsets" ? entry.offsets.has_value()
                                                : true;
    return !given || FailIn(Text("field ", Quoted(key_),
                                 " is unknown or given twice, expected dtype, shape and "
                                 "data_offsets once"));
  }

  bool FailIn(const std::string& message) {
    return Fail(Text("tensor ", Quoted(entries_.back().name), ": ", message));
  }

  bool Unexpected(std::string_view found) override {
    switch (place_) {
      case Place::kOutside:
        return Fail(Text("header is ", found, ", expected an object"));
      case Place::kHeader:
        return Fail(Text("key ", Quoted(key_), " is ", found, ", expected an object"));
      case Place::kMetadata:
        return Fail(Text("__metadata__ holds ", found, ", expected strings"));
      case Place::kTensor:
        return FailIn(Text(key_, " is ", found, ", expected ",
                           key_ == "dtype" ? "a string" : "an array of integers >= 0"));
      case Place::kNumbers:
        return FailIn(Text(key_, " holds ", found, ", expected integers >= 0"));
    }
    return false;
  }

  Place place_ = Place::kOutside;
  std::string key_;
  std::vector<Entry> entries_;
};

absl::Status CheckSpan(const Entry& entry, int64_t data_bytes) {
  const auto error = [&entry](auto... parts) {
    return absl::InvalidArgumentError(Text("tensor ", Quoted(entry.name), ": ", parts...));
  };
  const int64_t begin = (*entry.offsets)[0];
  const int64_t end = (*entry.offsets)[1];
  if (begin > end) {
    return error("data_offsets are [", begin, ", ", end, "], expected begin <= end");
  }
  const std::optional<int64_t> count = ElementCount(*entry.shape);
  int64_t bytes = 0;
  if (!count || __builtin_mul_overflow(*count, StoredBytes(*entry.type), &bytes)) {
    return error("shape ", ShapeText(*entry.shape), " of ", StoredName(*entry.type),
                 " has more than 2^63 - 1 bytes, expected ", end - begin);
  }
  if (bytes != end - begin) {
    return error("data_offsets span ", end - begin, " bytes, expected ", bytes, " for shape ",
                 ShapeText(*entry.shape), " of ", StoredName(*entry.type));
  }
  if (end > data_bytes) {
    return absl::DataLossError(Text("tensor ", Quoted(entry.name), ": data_offsets end at ", end,
                                    ", expected at most ", data_bytes,
                                    ", the file's bytes of data"));
  }
  return absl::OkStatus();
}

// Sorted by place, the spans must follow one another from the first byte of data to the last.
absl::Status CheckCover(const std::vector<Entry>& entries, int64_t data_bytes) {
  std::vector<const Entry*> by_place;
  for (const Entry& entry : entries) by_place.push_back(&entry);
  std::sort(by_place.begin(), by_place.end(),
            [](const Entry* a, const Entry* b) { return *a->offsets < *b->offsets; });
  int64_t covered = 0;
  std::string_view last = "the header";
  for (const Entry* place : by_place) {
    const Entry& entry = *place;
    const int64_t begin = (*entry.offsets)[0];
    if (begin != covered) {
      return absl::InvalidArgumentError(Text(
          "tensor ", Quoted(entry.name), begin < covered ? " overlaps " : " leaves a gap after ",
          Quoted(last), ": data_offsets begin at ", begin, ", expected ", covered));
    }
    covered = (*entry.offsets)[1];
    last = entry.name;
  }
  if (covered != data_bytes) {
    return absl::InvalidArgumentError(Text("holds ", data_bytes, " bytes of data, expected the ",
                                           covered, " that its tensors cover"));
  }
  return absl::OkStatus();
}

absl::StatusOr<TensorMap> Read(std::span<const std::byte> bytes, std::string_view file) {
  ByteReader reader(bytes);
  const std::optional<uint64_t> length = reader.Number<uint64_t>();
  if (!length) {
    return absl::DataLossError(
        Text("has ", bytes.size(), " bytes, expected at least the 8 of the header's length"));
  }
  if (*length > kMaxSafetensorsHeader) {
    return absl::InvalidArgumentError(
        Text("header length is ", *length, " bytes, expected at most ", kMaxSafetensorsHeader));
  }
  const auto header = reader.Bytes(*length);
  if (!header) {
    return absl::DataLossError(Text("header length is ", *length, " bytes, expected at most ",
                                    reader.remaining(), ", what follows in the file"));
  }
  const std::span<const std::byte> data = bytes.subspan(reader.position());

  HeaderHandler handler;
  RETURN_IF_ERROR(ReadJson(AsText(*header), "header", kBounds, handler));
  std::vector<Entry>& entries = handler.entries();
  const auto data_bytes = static_cast<int64_t>(data.size());
  for (const Entry& entry : entries) RETURN_IF_ERROR(CheckSpan(entry, data_bytes));
  RETURN_IF_ERROR(CheckCover(entries, data_bytes));

  TensorMap tensors;
  tensors.reserve(entries.size());
  for (Entry& entry : entries) {
    const auto [place, is_new] = tensors.try_emplace(std::move(entry.name));
    if (!is_new) {
      return absl::InvalidArgumentError(
          Text("tensor ", Quoted(place->first), " is listed twice, expected once"));
    }
    place->second = {.type = *entry.type,
                     .shape = std::move(*entry.shape),
                     .strides = {},
                     .data = data.data() + (*entry.offsets)[0],
                     .file = std::string(file)};
    place->second.strides = ContiguousStrides(place->second.shape);
  }
  return tensors;
}

}  // namespace

std::string_view SafetensorsName(StoredType type) {
  const auto row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                [type](const auto& known) { return known.type == type; });
  return row == std::end(kTypes) ? "" : row->name;
}

absl::StatusOr<TensorMap> ReadSafetensors(std::span<const std::byte> bytes, std::string_view file) {
  absl::StatusOr<TensorMap> tensors = Read(bytes, file);
  if (tensors.ok()) return tensors;
  return absl::Status(tensors.status().code(),
                      Text(Quoted(file), ": ", tensors.status().message()));
}

}  // namespace dyad
