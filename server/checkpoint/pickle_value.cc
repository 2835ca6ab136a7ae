// Kinds and names of what a pickle may hold.
#include "server/checkpoint/pickle_value.h"

#include <iterator>

namespace dyad {
namespace {

constexpr struct {
  std::string_view module;
  std::string_view name;
  PickleValue meaning;
} kGlobals[] = {
    {"collections", "OrderedDict", PickleFunction::kOrderedDict},
    {"torch._utils", "_rebuild_tensor_v2", PickleFunction::kRebuildTensor},
    {"torch._utils", "_rebuild_parameter", PickleFunction::kRebuildParameter},
    {"torch", "FloatStorage", PickleStorageType{StoredType::kFloat32}},
    {"torch", "HalfStorage", PickleStorageType{StoredType::kFloat16}},
    {"torch", "BFloat16Storage", PickleStorageType{StoredType::kBfloat16}},
    {"torch", "DoubleStorage", PickleStorageType{StoredType::kFloat64}},
    {"torch", "LongStorage", PickleStorageType{StoredType::kInt64}},
    {"torch", "IntStorage", PickleStorageType{StoredType::kInt32}},
    {"torch", "ShortStorage", PickleStorageType{StoredType::kInt16}},
    {"torch", "CharStorage", PickleStorageType{StoredType::kInt8}},
    {"torch", "ByteStorage", PickleStorageType{StoredType::kUint8}},
    {"torch", "BoolStorage", PickleStorageType{StoredType::kBool}},
};

}  // namespace

std::string_view PickleKind(const PickleValue& value) {
  constexpr std::string_view kKinds[] = {"None",      "a boolean", "an integer", "a number",
                                         "a string",  "a tuple",   "a list",     "a dict",
                                         "a storage", "a tensor",  "a function", "a storage type"};
  static_assert(std::size(kKinds) == std::variant_size_v<PickleValue>);
  return kKinds[value.index()];
}

std::optional<PickleValue> FindPickleGlobal(std::string_view module, std::string_view name) {
  for (const auto& row : kGlobals) {
    if (row.module == module && row.name == name) return row.meaning;
  }
  return std::nullopt;
}

}  // namespace dyad
