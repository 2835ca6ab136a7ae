// A checkpoint folder -> a model that the engine can run. The only header of this folder that
// others include, and that no other file of it does. Which files and tensors:
// server/model/README.md, server/checkpoint/README.md.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/device.h"
#include "server/engine/model.h"
#include "server/model/model_info.h"
#include "server/model/model_options.h"

namespace dyad {

struct LoadedModel {
  std::unique_ptr<engine::Model> model;
  ModelInfo info;
};

// Reads, checks and packs the checkpoint in `folder` for `device`, which the model keeps. Memory of
// the host: at most the file's bytes twice, plus the KV cache. Errors: NotFound (no such folder or
// file), InvalidArgument or DataLoss (what is wrong: file, tensor or key, found, expected). Nothing
// is executed from a checkpoint; sizes are checked before memory is taken.
absl::StatusOr<LoadedModel> LoadModel(const std::string& folder, const ModelOptions& options,
                                      std::unique_ptr<kernels::Device> device);

// What LoadModel would load, from config.json and the tables of tensors alone: no weight is read,
// so that the digest is empty and bytes are 0, but for those of layers. Errors: as LoadModel's.
absl::StatusOr<ModelInfo> InspectModel(const std::string& folder, const ModelOptions& options,
                                       kernels::Device& device);

// About the bytes that LoadModel will take besides the KV cache, for weights, activations and
// logits; layers that kDense multiplies out count as matrices, too. Reads config.json and the
// tables of tensors only; the device is asked for nothing but what it can run. Errors: as
// LoadModel's.
absl::StatusOr<int64_t> ModelBytes(const std::string& folder, const ModelOptions& options,
                                   kernels::Device& device);

}  // namespace dyad
