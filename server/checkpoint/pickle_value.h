// What a state dict's pickle may be made of. Values are small and flat; containers are indices into
// PickleObjects, so a value that contains itself costs nothing, and nothing is ever walked
// recursively.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "server/checkpoint/stored_tensor.h"

namespace dyad {

struct PickleNone {};
struct PickleTuple {
  uint32_t index;
};
struct PickleList {
  uint32_t index;
};
struct PickleDict {  // also OrderedDict; elements are key, value, key, value, …
  uint32_t index;
};
struct PickleStorage {
  uint32_t index;
};
struct PickleTensor {
  uint32_t index;
};
// The only names a pickle may use. None of them is looked up or called; they choose a case of ours.
enum class PickleFunction { kOrderedDict, kRebuildTensor, kRebuildParameter };
struct PickleStorageType {
  StoredType type;
};

// Texts point into the pickle.
using PickleValue =
    std::variant<PickleNone, bool, int64_t, double, std::string_view, PickleTuple, PickleList,
                 PickleDict, PickleStorage, PickleTensor, PickleFunction, PickleStorageType>;

std::string_view PickleKind(const PickleValue& value);  // "a list", "a tensor", … for messages

// What a global means here, or nothing for every name that is not in the table.
std::optional<PickleValue> FindPickleGlobal(std::string_view module, std::string_view name);

// As written; no number is checked yet, so that errors can name the tensor.
struct PickledStorage {
  StoredType type;
  std::string_view key;  // names the entry that holds the bytes
  int64_t elements;
};
struct PickledTensor {
  PickledStorage storage;
  int64_t offset;  // in elements of the storage
  PickleTuple shape;
  PickleTuple strides;
};

struct PickleObjects {
  PickleValue root;
  std::deque<std::vector<PickleValue>> containers;  // a deque: grows without copying
  std::deque<PickledStorage> storages;
  std::deque<PickledTensor> tensors;

  // For PickleTuple, PickleList and PickleDict.
  template <typename Container>
  std::span<const PickleValue> elements(Container container) const {
    return containers[container.index];
  }
};

}  // namespace dyad
