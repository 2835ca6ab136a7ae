// A folder of a checkpoint -> a new folder of the same network with dense layers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/device.h"
#include "server/base/console.h"
#include "server/model/dense_checkpoint.h"

namespace dyad {

struct DensifyOptions {
  DenseType type = DenseType::kFloat32;
  std::function<std::unique_ptr<kernels::Device>()> device;  // that computes
  // Of data in a file of weights; a larger tensor has a file of its own.
  int64_t max_shard_bytes = int64_t{5} << 30;
};

struct DensifyResult {
  int64_t tensors = 0;
  int64_t bytes = 0;
  int64_t weight_files = 0;
};

// Writes config.json, safetensors files, and the tokenizer's files of `in`, to "OUT.partial", which
// becomes `out` once all is written; an error removes it. Draws how far it is on `console.err`, if
// that is a terminal. Memory: that of one layer. Errors: those of DenseCheckpoint; AlreadyExists:
// `out`, or an OUT.partial of a run that was killed, or still runs; the system's.
absl::StatusOr<DensifyResult> DensifyFolder(const std::string& in, const std::string& out,
                                            const DensifyOptions& options, const Console& console);

}  // namespace dyad
