// server/model_memory.h.
#include "server/model_memory.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/devices.h"

namespace dyad {
namespace {

// Of the memory there is, above which a warning is due.
constexpr double kMuchMemory = 0.9;

}  // namespace

absl::Status OfModel(const ModelSource& source, const Options& options,
                     const absl::Status& status) {
  const bool comma = absl::IsNotFound(status) && options.models.size() > 1;
  return absl::Status(
      status.code(), absl::StrCat("model ", source.name, ": ", status.message(),
                                  comma ? "; a comma in --model begins the next NAME=FOLDER" : ""));
}

absl::StatusOr<ModelOptions> OptionsOfModels(const Options& options, const Host& host,
                                             int64_t device_bytes, const LogFunction& log) {
  for (const std::string& file : host.unreadable) {
    log(LogLevel::kWarning, "a limit of this process cannot be read", {{"file", file}});
  }
  KvCacheShare share = {.available_bytes = device_bytes > 0 ? device_bytes : host.memory_bytes,
                        .fraction = options.kv_cache_fraction,
                        .models = static_cast<int32_t>(options.models.size())};
  ModelOptions model;
  model.weight_dtype = options.weight_dtype;
  model.layer_form = options.layer_form;
  model.kv_dtype = options.kv_dtype;
  model.arithmetic = options.arithmetic;
  model.max_batch_tokens = options.engine.max_batch_tokens;
  model.max_draws = options.engine.max_running_sequences;
  model.kv_cache_bytes = options.kv_cache_bytes;
  const std::unique_ptr<kernels::Device> device = kernels::MakeCpuDevice({});  // computes nothing
  for (const ModelSource& source : options.models) {
    const absl::StatusOr<int64_t> bytes = ModelBytes(source.folder, model, *device);
    if (!bytes.ok()) return OfModel(source, options, bytes.status());
    share.model_bytes += *bytes;
  }
  const std::string there =
      absl::StrCat(share.available_bytes,
                   device_bytes > 0 ? " that the device has free"
                                    : " that the host's memory and the control groups leave");
  if (MemoryTaken(share, 0) > 1) {
    return absl::ResourceExhaustedError(absl::StrCat("weights and activations take about ",
                                                     share.model_bytes,
                                                     " bytes, which is more than the ", there));
  }
  if (model.kv_cache_bytes == 0) {
    share.model_bytes *= 2;  // what loading may take at its peak
    model.kv_cache_bytes = KvCacheBytes(share);
    return model;
  }
  const double taken = MemoryTaken(share, model.kv_cache_bytes);
  if (taken > 1) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "--kv_cache_bytes is ", model.kv_cache_bytes, share.models > 1 ? " for each model" : "",
        "; beside about ", share.model_bytes,
        " bytes of weights and activations this is more than the ", there));
  }
  if (taken > kMuchMemory) {
    log(LogLevel::kWarning, "kv cache and models leave little memory",
        {{"kv_cache_bytes", model.kv_cache_bytes},
         {"model_bytes", share.model_bytes},
         {"available_bytes", share.available_bytes}});
  }
  return model;
}

}  // namespace dyad
