// Raw contents are little-endian; BYTES has four bytes of length in front of each element.
#include "server/kserve/tensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/api/request_error.h"
#include "server/base/status_macros.h"
#include "server/text/utf8.h"

namespace dyad {
namespace {

static_assert(std::endian::native == std::endian::little, "raw contents are little-endian");

constexpr int64_t kMostElements = std::numeric_limits<int32_t>::max();
constexpr size_t kLengthBytes = 4;

template <typename T>
T FromBytes(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

// False if the bytes are no whole number of elements.
template <typename T>
bool ReadNumbers(std::string_view raw, std::vector<int64_t>& numbers) {
  for (size_t at = 0; at + sizeof(T) <= raw.size(); at += sizeof(T)) {
    numbers.push_back(static_cast<int64_t>(FromBytes<T>(raw.data() + at)));
  }
  return raw.size() % sizeof(T) == 0;
}

bool ReadTexts(std::string_view raw, std::vector<std::string>& texts) {
  while (raw.size() >= kLengthBytes) {
    const size_t length = FromBytes<uint32_t>(raw.data());
    raw.remove_prefix(kLengthBytes);
    if (length > raw.size()) return false;
    texts.emplace_back(raw.substr(0, length));
    raw.remove_prefix(length);
  }
  return raw.empty();
}

template <typename T>
std::string RawNumbers(const std::vector<T>& values) {
  std::string raw(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(raw.data(), values.data(), raw.size());
  return raw;
}

int64_t ListedElements(const inference::InferTensorContents& contents) {
  return int64_t{contents.bool_contents_size()} + contents.int_contents_size() +
         contents.int64_contents_size() + contents.uint_contents_size() +
         contents.uint64_contents_size() + contents.fp32_contents_size() +
         contents.fp64_contents_size() + contents.bytes_contents_size();
}

}  // namespace

absl::Status InputTensors::Tensor::Wrong(std::string limit) const {
  return InvalidField(
      {Shortened(name, 100),
       absl::StrCat(Shortened(datatype, 20), " [", Shortened(absl::StrJoin(shape, ", "), 100), "]"),
       std::move(limit)});
}

absl::StatusOr<InputTensors::Tensor> InputTensors::ReadTensor(
    const inference::ModelInferRequest::InferInputTensor& given, const std::string* raw) {
  Tensor tensor = {
      given.name(), given.datatype(), {given.shape().begin(), given.shape().end()}, {}, {}};
  const inference::InferTensorContents& lists = given.contents();
  if (!given.parameters().empty()) {
    return InvalidField({Shortened(given.name(), 100) + ".parameters",
                         Shortened(given.parameters().begin()->first, 100),
                         "tensors have none here"});
  }
  bool is_whole = true;
  if (tensor.datatype == "BYTES") {
    if (raw != nullptr) is_whole = ReadTexts(*raw, tensor.texts);
    if (raw == nullptr)
      tensor.texts = {lists.bytes_contents().begin(), lists.bytes_contents().end()};
  } else if (tensor.datatype == "BOOL") {
    if (raw != nullptr) is_whole = ReadNumbers<uint8_t>(*raw, tensor.numbers);
    if (raw == nullptr)
      tensor.numbers = {lists.bool_contents().begin(), lists.bool_contents().end()};
  } else if (tensor.datatype == "INT32") {
    if (raw != nullptr) is_whole = ReadNumbers<int32_t>(*raw, tensor.numbers);
    if (raw == nullptr) tensor.numbers = {lists.int_contents().begin(), lists.int_contents().end()};
  } else if (tensor.datatype == "INT64") {
    if (raw != nullptr) is_whole = ReadNumbers<int64_t>(*raw, tensor.numbers);
    if (raw == nullptr) {
      tensor.numbers = {lists.int64_contents().begin(), lists.int64_contents().end()};
    }
  } else {
    return tensor.Wrong("must be BYTES, BOOL, INT32 or INT64");
  }
  const auto elements = static_cast<int64_t>(tensor.texts.size() + tensor.numbers.size());
  if (ListedElements(lists) != (raw != nullptr ? 0 : elements)) {
    return tensor.Wrong("has contents of another datatype, or beside raw_input_contents");
  }
  if (!is_whole) return tensor.Wrong("its raw contents are cut short");
  int64_t count = 1;
  for (const int64_t size : tensor.shape) {
    if (size < 0 || size > kMostElements || count * size > kMostElements) {
      return tensor.Wrong("must have sizes of at most 2147483647 elements in all");
    }
    count *= size;
  }
  if (count != elements) return tensor.Wrong(absl::StrCat("has ", elements, " elements"));
  for (size_t i = 0; i < tensor.texts.size(); ++i) {
    if (!FirstInvalidByte(tensor.texts[i]).has_value()) continue;
    return InvalidField({absl::StrCat(Shortened(tensor.name, 100), "[", i, "]"),
                         absl::StrCat(tensor.texts[i].size(), " bytes"), "must be valid UTF-8"});
  }
  return tensor;
}

absl::StatusOr<InputTensors> InputTensors::Read(const inference::ModelInferRequest& request) {
  const int raws = request.raw_input_contents_size();
  if (raws != 0 && raws != request.inputs_size()) {
    return InvalidField(
        {"raw_input_contents", absl::StrCat(raws, " entries"),
         absl::StrCat("must be one for each of ", request.inputs_size(), " inputs, or none")});
  }
  InputTensors tensors;
  for (int i = 0; i < request.inputs_size(); ++i) {
    const std::string& name = request.inputs(i).name();
    if (tensors.Has(name)) {
      return InvalidField({Shortened(name, 100), "given twice", "once is enough"});
    }
    ASSIGN_OR_RETURN(
        Tensor tensor,
        ReadTensor(request.inputs(i), raws == 0 ? nullptr : &request.raw_input_contents(i)));
    tensors.tensors_.push_back(std::move(tensor));
  }
  return tensors;
}

const InputTensors::Tensor* InputTensors::Find(std::string_view name) const {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                  [&](const Tensor& tensor) { return tensor.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

absl::Status InputTensors::CheckNames(const std::vector<std::string>& names) const {
  for (const Tensor& tensor : tensors_) {
    if (std::find(names.begin(), names.end(), tensor.name) != names.end()) continue;
    return InvalidField({Shortened(tensor.name, 100), "no input of this request",
                         absl::StrCat("those are ", absl::StrJoin(names, ", "))});
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> InputTensors::Texts(std::string_view name) const {
  const Tensor& tensor = *Find(name);
  if (tensor.datatype != "BYTES" || tensor.shape.size() != 1) {
    return tensor.Wrong("must be BYTES [k]");
  }
  return tensor.texts;
}

absl::StatusOr<std::vector<int64_t>> InputTensors::Ids(std::string_view name) const {
  const Tensor& tensor = *Find(name);
  const bool is_row = tensor.shape.size() == 2 && tensor.shape.front() == 1;
  if (!tensor.datatype.starts_with("INT") || (tensor.shape.size() != 1 && !is_row)) {
    return tensor.Wrong("must be INT32 or INT64, [n] or [1, n]");
  }
  return tensor.numbers;
}

absl::StatusOr<bool> InputTensors::Flag(std::string_view name) const {
  const Tensor& tensor = *Find(name);
  if (tensor.datatype != "BOOL" || tensor.numbers.size() != 1)
    return tensor.Wrong("must be BOOL [1]");
  return tensor.numbers.front() != 0;
}

inference::InferTensorContents* OutputTensors::Add(const std::string& name, const char* datatype,
                                                   size_t count, std::string raw) {
  auto& tensor = *response_.add_outputs();
  tensor.set_name(name);
  tensor.set_datatype(datatype);
  tensor.add_shape(static_cast<int64_t>(count));
  if (as_ == As::kLists) return tensor.mutable_contents();
  response_.add_raw_output_contents(std::move(raw));
  return nullptr;
}

void OutputTensors::AddTexts(const std::string& name, const std::vector<std::string>& values) {
  std::string raw;
  for (const std::string& value : values) {
    raw += RawNumbers<uint32_t>({static_cast<uint32_t>(value.size())}) + value;
  }
  auto* lists = Add(name, "BYTES", values.size(), std::move(raw));
  if (lists != nullptr) lists->mutable_bytes_contents()->Add(values.begin(), values.end());
}

void OutputTensors::AddDoubles(const std::string& name, const std::vector<double>& values) {
  auto* lists = Add(name, "FP64", values.size(), RawNumbers(values));
  if (lists != nullptr) lists->mutable_fp64_contents()->Add(values.begin(), values.end());
}

void OutputTensors::AddInts(const std::string& name, const std::vector<int32_t>& values) {
  auto* lists = Add(name, "INT32", values.size(), RawNumbers(values));
  if (lists != nullptr) lists->mutable_int_contents()->Add(values.begin(), values.end());
}

void OutputTensors::AddCounts(const std::string& name, const std::vector<uint32_t>& values) {
  auto* lists = Add(name, "UINT32", values.size(), RawNumbers(values));
  if (lists != nullptr) lists->mutable_uint_contents()->Add(values.begin(), values.end());
}

void OutputTensors::AddFlags(const std::string& name, const std::vector<bool>& values) {
  std::string raw;
  for (const bool value : values) raw.push_back(value ? 1 : 0);
  auto* lists = Add(name, "BOOL", values.size(), std::move(raw));
  if (lists != nullptr) lists->mutable_bool_contents()->Add(values.begin(), values.end());
}

}  // namespace dyad
