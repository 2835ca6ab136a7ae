// A checkpoint folder -> a model that the engine can run. The only header of this folder that
// others include, and that no other file of it does; LibTorch is not visible in it. Which files and
// tensors: server/model/README.md, server/checkpoint/README.md.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "server/engine/model.h"
#include "server/model/model_info.h"
#include "server/model/model_options.h"

namespace dyad {

struct LoadedModel {
  std::unique_ptr<engine::Model> model;
  ModelInfo info;
};

// Reads, checks and packs the checkpoint in `folder`. `pool` must outlive the model.
// Memory: at most the file's bytes twice, plus the KV cache, as kv_population says.
// Errors: NotFound (no such folder or file), InvalidArgument or DataLoss (what is wrong: file,
// tensor or key, found, expected). Nothing is executed from a checkpoint; sizes are checked before
// memory is taken.
absl::StatusOr<LoadedModel> LoadModel(const std::string& folder, const ModelOptions& options,
                                      kernels::ThreadPool& pool);

// Everything LoadModel checks, without KV cache: for --check.
absl::StatusOr<ModelInfo> CheckModel(const std::string& folder, const ModelOptions& options,
                                     kernels::ThreadPool& pool);

}  // namespace dyad
