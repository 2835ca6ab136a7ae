// A checkpoint folder on disk -> its tensors by name, checked but not yet understood.
//
// Files, in this order of preference: model.safetensors, model.safetensors.index.json (shards),
// pytorch_model.bin, pytorch_model.bin.index.json (shards), exactly one *.pth. The first that is
// there by name is the one that is read: where it is broken, the next is not tried. Readers:
// safetensors.h for the one format, torch_file.h (zip_reader.h, pickle_machine.h, state_dict.h) for
// the other; neither executes anything.
//
// Only files whose plain names lie in the folder are opened, and shards may not be named by paths;
// a file may itself be a symbolic link, as model caches make them. Of a sharded checkpoint, every
// tensor of the index must be in the shard that it names; a tensor that the index does not list is
// taken too (it is for the network to refuse it), one that two shards hold is refused.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/checkpoint/stored_tensor.h"

namespace dyad {

// Owns the mappings. Immutable; any thread. Tensors point into them and end with it. Destroy it
// when the weights have been copied: a file that is truncated while it is mapped raises SIGBUS
// (mapped_file.h).
class Checkpoint {
 public:
  // Maps the weight files of `folder` and reads their tables of tensors. Takes memory for names
  // only. Errors: NotFound, InvalidArgument, DataLoss (cut short): file, tensor or key, found,
  // expected.
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(const std::string& folder);
  virtual ~Checkpoint() = default;

  virtual const TensorMap& tensors() const = 0;
  // Names of the weight files read (index files are not weight files), sorted, relative to the
  // folder.
  virtual const std::vector<std::string>& files() const = 0;
  // Tells the kernel that this tensor's pages are not needed any more, so that they do not count as
  // resident while the rest loads. The tensor stays readable.
  virtual void Release(const StoredTensor& tensor) const = 0;
};

}  // namespace dyad
