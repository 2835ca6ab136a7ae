// A checkpoint as one of dense layers alone: what its tensors are, then their bytes one by one, so
// that nothing of the size of the model is ever in memory.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/device.h"
#include "server/checkpoint/safetensors_writer.h"
#include "server/checkpoint/stored_tensor.h"

namespace dyad {

// kStored: every tensor has its own type, a matrix that is multiplied out that of its factors, and
// float32 where they differ; float64 becomes float32.
enum class DenseType { kFloat32, kStored };

// Threads: one.
class DenseCheckpoint {
 public:
  // Reads config.json and tables of tensors, no weights. `device` computes. Errors: those of
  // LoadModel; InvalidArgument: a layer whose rows choose what they run, which no matrix can do.
  static absl::StatusOr<std::unique_ptr<DenseCheckpoint>> Open(
      const std::string& folder, DenseType type, std::unique_ptr<kernels::Device> device);
  virtual ~DenseCheckpoint() = default;

  // config.json of the network with dense layers.
  virtual const std::string& config() const = 0;
  // By name; the names are those of the checkpoint, PATH.weight and PATH.bias of multiplied layers.
  virtual const std::vector<TensorEntry>& entries() const = 0;
  // Gives `take` the bytes of an entry, row-major, and stops at its first error. Cheapest where a
  // layer's bias follows its weight. Memory: that of one layer while it is multiplied out
  // (kernels/densify.h). Errors: those of `take`; InvalidArgument: values that are not finite, or
  // overflow the type.
  virtual absl::Status Write(
      const TensorEntry& entry,
      const std::function<absl::Status(std::span<const std::byte>)>& take) = 0;
};

}  // namespace dyad
