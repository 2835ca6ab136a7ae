// A checkpoint folder on disk -> its tensors by name, checked but not yet understood.
//
// Files, in this order of preference: model.safetensors, model.safetensors.index.json (shards),
// pytorch_model.bin, pytorch_model.bin.index.json (shards), exactly one *.pth. Readers: safetensors.h for
// the one format, pickle_reader.h over zip_reader.h for the other; neither executes anything.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace dyad {

enum class StoredType { kFloat32, kFloat16, kBfloat16, kFloat64, kInt64, kInt32, kInt16, kInt8, kUint8, kBool };
int64_t StoredBytes(StoredType type);        // of one element
std::string_view StoredName(StoredType type);  // "float32", …

// A tensor in a mapped file. All indices within shape lie inside the file (checked).
struct StoredTensor {
  StoredType type = StoredType::kFloat32;
  std::vector<int64_t> shape;    // >= 0 each; the product fits int64
  std::vector<int64_t> strides;  // in elements, >= 0
  const std::byte* data = nullptr;
  std::string file;  // for messages

  int64_t elements() const;
  bool contiguous() const;
};

// Owns the mappings. Immutable; any thread.
class Checkpoint {
 public:
  // Maps the weight files of `folder` and reads their tables of tensors. Takes memory for names only.
  // Errors: NotFound, InvalidArgument, DataLoss: file, tensor or key, what was found, what was expected.
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(const std::string& folder);
  virtual ~Checkpoint() = default;

  virtual const absl::flat_hash_map<std::string, StoredTensor>& tensors() const = 0;
  // Names of the weight files read (index files are not weight files), sorted, relative to the folder.
  virtual const std::vector<std::string>& files() const = 0;
  // Tells the kernel that this tensor's pages are not needed any more, so that they do not count as
  // resident while the rest loads. The tensor stays readable.
  virtual void Release(const StoredTensor& tensor) const = 0;
};

}  // namespace dyad
