// A state dict's pickle -> its tensors by name.
#include "server/checkpoint/state_dict.h"

#include <unordered_set>
#include <utility>

#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/checkpoint/pickle_machine.h"

namespace dyad {
namespace {

absl::StatusOr<PickleDict> FindStateDict(const PickleObjects& objects) {
  const auto* top = std::get_if<PickleDict>(&objects.root);
  if (top == nullptr) {
    return absl::InvalidArgumentError(
        Text("pickle holds ", PickleKind(objects.root), ", expected a dict of tensors by name"));
  }
  const auto elements = objects.elements(*top);
  for (size_t i = 0; i < elements.size(); i += 2) {
    const auto* key = std::get_if<std::string_view>(&elements[i]);
    if (key == nullptr || *key != "state_dict") continue;
    const auto* inner = std::get_if<PickleDict>(&elements[i + 1]);
    if (inner != nullptr) return *inner;
    return absl::InvalidArgumentError(Text("key 'state_dict' is ", PickleKind(elements[i + 1]),
                                           ", expected a dict of tensors by name"));
  }
  for (size_t i = 0; i < elements.size(); i += 2) {
    const auto* key = std::get_if<std::string_view>(&elements[i]);
    if (key == nullptr || !std::holds_alternative<PickleDict>(elements[i + 1])) continue;
    return absl::InvalidArgumentError(Text(
        "key ", Quoted(*key), " is a dict; tensors are looked for at the top and under the key ",
        "'state_dict': save this dict by itself, or under that key"));
  }
  return *top;
}

absl::StatusOr<std::vector<int64_t>> Integers(std::span<const PickleValue> values) {
  if (values.size() > kMaxDimensions) {
    return absl::InvalidArgumentError(
        Text("has ", values.size(), " dimensions, expected at most ", kMaxDimensions));
  }
  std::vector<int64_t> integers;
  for (const PickleValue& value : values) {
    const auto* integer = std::get_if<int64_t>(&value);
    if (integer == nullptr) {
      return absl::InvalidArgumentError(
          Text("shape or strides hold ", PickleKind(value), ", expected integers"));
    }
    integers.push_back(*integer);
  }
  return integers;
}

absl::StatusOr<StateDictEntry> ReadEntry(const PickleObjects& objects, std::string_view name,
                                         const PickleValue& value) {
  const auto* reference = std::get_if<PickleTensor>(&value);
  if (reference == nullptr) {
    return absl::InvalidArgumentError(Text("is ", PickleKind(value), ", expected a tensor"));
  }
  const PickledTensor& tensor = objects.tensors[reference->index];
  StateDictEntry entry{
      .name = name, .storage = tensor.storage, .offset = tensor.offset, .shape = {}, .strides = {}};
  ASSIGN_OR_RETURN(entry.shape, Integers(objects.elements(tensor.shape)));
  ASSIGN_OR_RETURN(entry.strides, Integers(objects.elements(tensor.strides)));
  if (entry.shape.size() != entry.strides.size()) {
    return absl::InvalidArgumentError(Text("has ", entry.strides.size(), " strides, expected ",
                                           entry.shape.size(), ", one a dimension"));
  }
  return entry;
}

}  // namespace

absl::StatusOr<std::vector<StateDictEntry>> ReadStateDict(std::span<const std::byte> pickle) {
  ASSIGN_OR_RETURN(const PickleObjects objects, RunPickle(pickle));
  ASSIGN_OR_RETURN(const PickleDict dict, FindStateDict(objects));
  const auto elements = objects.elements(dict);
  if (elements.empty() || elements.size() / 2 > kMaxTensors) {
    return absl::InvalidArgumentError(
        Text("state dict has ", elements.size() / 2, " entries, expected 1 to ", kMaxTensors));
  }
  std::vector<StateDictEntry> entries;
  std::unordered_set<std::string_view> names;
  for (size_t i = 0; i < elements.size(); i += 2) {
    const auto* name = std::get_if<std::string_view>(&elements[i]);
    if (name == nullptr) {
      return absl::InvalidArgumentError(
          Text("state dict has a key that is ", PickleKind(elements[i]), ", expected strings"));
    }
    RETURN_IF_ERROR(CheckTensorName(*name));
    if (!names.insert(*name).second) {
      return absl::InvalidArgumentError(
          Text("tensor ", Quoted(*name), " is there twice, expected once"));
    }
    absl::StatusOr<StateDictEntry> entry = ReadEntry(objects, *name, elements[i + 1]);
    if (!entry.ok()) {
      return absl::Status(entry.status().code(),
                          Text("tensor ", Quoted(*name), ": ", entry.status().message()));
    }
    entries.push_back(*std::move(entry));
  }
  return entries;
}

}  // namespace dyad
