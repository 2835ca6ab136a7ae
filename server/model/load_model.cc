// Config, then names and shapes of all tensors, then their numbers; the digest beside it.
#include "server/model/load_model.h"

#include <algorithm>
#include <filesystem>
#include <future>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "server/base/catch_exceptions.h"
#include "server/base/file.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/digest.h"
#include "server/model/config.h"
#include "server/model/convert.h"
#include "server/model/load_network.h"
#include "server/model/network_model.h"
#include "server/model/rotary.h"

namespace dyad {
namespace {

// The type of most weights; layers may differ where the file mixes types.
std::string MainType(const LoadTally& tally) {
  const auto most =
      std::max_element(tally.elements.begin(), tally.elements.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return std::string(most == tally.elements.end() ? "float32" : WeightTypeName(most->first));
}

ModelInfo Describe(const ModelConfig& config, const LoadTally& tally, kernels::KvType kv_dtype,
                   kernels::DeviceInfo device, std::string digest) {
  const std::string weight_dtype = MainType(tally);
  // Layers of float32 weights are exact on every device; integer arithmetic is of int8 weights,
  // bfloat16 of such weights.
  const bool is_exact = weight_dtype == WeightTypeName(kernels::Element::kFloat32) ||
                        (absl::StartsWith(device.arithmetic, "integer") &&
                         weight_dtype != WeightTypeName(kernels::Element::kInt8)) ||
                        (device.arithmetic == NameOf(kernels::Arithmetic::kBfloat16) &&
                         weight_dtype != WeightTypeName(kernels::Element::kBfloat16));
  return {.architecture = std::string(config.architecture->name),
          .digest = std::move(digest),
          .weight_dtype = weight_dtype,
          .kv_dtype = std::string(NameOf(kv_dtype)),
          .device = std::move(device.name),
          .arithmetic = is_exact ? "exact" : std::move(device.arithmetic),
          .parameters = tally.parameters,
          .dense_equivalent_parameters = tally.dense_equivalent_parameters,
          .weight_bytes = tally.weight_bytes,
          .kv_cache_bytes = 0,
          .bos_id = config.bos_id,
          .eos_ids = config.eos_ids,
          .layers = tally.layers};
}

absl::Status CheckArithmetic(const ModelInfo& info, const ModelOptions& options) {
  if (!options.arithmetic.has_value() || info.arithmetic == NameOf(*options.arithmetic)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      Text("arithmetic is ", std::string(NameOf(*options.arithmetic)), "; with weights of ",
           info.weight_dtype, " ", info.device, " computes ", info.arithmetic, " only; ",
           IsInteger(*options.arithmetic) ? "it needs --weight_dtype=int8"
           : IsOfTheCpu(*options.arithmetic)
               ? "it needs --weight_dtype=bfloat16"
               : "--weight_dtype=bfloat16, float16 or int8 has more on CUDA"));
}

absl::Status CheckKvType(const NetworkShape& shape, kernels::KvType type,
                         const kernels::Device& device) {
  const std::string_view missing = device.MissesKv(shape.attention, type);
  if (missing.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(Text("kv_dtype is ", std::string(NameOf(type)), ", and device ",
                                         device.info().name, " has no kernel for ",
                                         std::string(missing), "; expected float32 or bfloat16"));
}

absl::Status CheckRange(std::string_view name, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      Text(name, " is ", value, "; expected [", least, ", ", most, "]"));
}

// A model without memory to run in.
struct ReadModel {
  LoadedNetwork loaded;
  ModelInfo info;
};

absl::StatusOr<ReadModel> Read(const std::string& folder, const ModelOptions& options,
                               kernels::Device& device) {
  RETURN_IF_ERROR(CheckRange("max_batch_tokens", options.max_batch_tokens, 1, 65536));
  RETURN_IF_ERROR(CheckRange("max_draws", options.max_draws, 1, 4096));
  ASSIGN_OR_RETURN(const ModelConfig config, ReadConfig(folder));
  ASSIGN_OR_RETURN(const std::unique_ptr<Checkpoint> checkpoint, Checkpoint::Open(folder));
  // All names and shapes first: what is wrong with them shows before a byte of weights is read.
  TensorSource checked(*checkpoint, std::string(config.architecture->tensor_root));
  ASSIGN_OR_RETURN(const LoadedNetwork found,
                   LoadNetwork(config, checked, options, LoadPass::kCheck, device));
  RETURN_IF_ERROR(CheckKvType(found.network->shape(), options.kv_dtype, device));

  // The digest reads every byte once more: from the page cache, while the other thread packs.
  std::vector<std::string> files = checkpoint->files();
  files.push_back("config.json");
  ASSIGN_OR_RETURN(const bool has_generation_config,
                   HasEntry(std::filesystem::path(folder) / "generation_config.json"));
  if (has_generation_config) files.push_back("generation_config.json");
  auto digest = std::async(std::launch::async, [&] { return FilesDigest(folder, files); });
  ReadModel model;
  TensorSource tensors(*checkpoint, std::string(config.architecture->tensor_root));
  ASSIGN_OR_RETURN(model.loaded, LoadNetwork(config, tensors, options, LoadPass::kPack, device));
  ASSIGN_OR_RETURN(std::string digest_text, digest.get());
  model.info =
      Describe(config, model.loaded.tally, options.kv_dtype, device.info(), std::move(digest_text));
  RETURN_IF_ERROR(CheckArithmetic(model.info, options));
  return model;
}

int64_t BytesOfWeight(WeightDtype dtype, StoredType stored) {
  switch (dtype) {
    case WeightDtype::kAsStored:
      return std::min<int64_t>(StoredBytes(stored), 4);  // float64 becomes float32
    case WeightDtype::kFloat32:
      return 4;
    case WeightDtype::kFloat16:
    case WeightDtype::kBfloat16:
      return 2;
    case WeightDtype::kInt8:
      return 1;
  }
  return 4;
}

struct KvMemory {
  int32_t pages = 0;
  int64_t bytes = 0;
};

// As many pages as fit options.kv_cache_bytes over all layers.
absl::StatusOr<KvMemory> MapKv(const NetworkShape& shape, const ModelOptions& options,
                               kernels::Device& device) {
  const int64_t page_bytes = shape.layers * device.KvPageBytes(shape.attention, options.kv_dtype);
  const int64_t pages =
      std::min<int64_t>(options.kv_cache_bytes / page_bytes, std::numeric_limits<int32_t>::max());
  if (pages < 1) {
    return absl::InvalidArgumentError(Text("kv_cache_bytes is ", options.kv_cache_bytes,
                                           "; one page of 16 tokens takes ", page_bytes));
  }
  const int64_t mapped = options.kv_cache == KvCache::kOnePage ? 1 : pages;
  RotaryAngles angles =
      MakeRotaryAngles(shape.positions, shape.attention.rotary_size, shape.rotary_base);
  const kernels::Fault fault = device.MapKv({.shape = shape.attention,
                                             .layers = shape.layers,
                                             .type = options.kv_dtype,
                                             .pages = static_cast<int32_t>(mapped),
                                             .cos = std::move(angles.cos),
                                             .sin = std::move(angles.sin)});
  if (!fault.empty()) {
    return absl::ResourceExhaustedError(
        Text("kv_cache_bytes is ", options.kv_cache_bytes, "; ", fault));
  }
  return KvMemory{static_cast<int32_t>(mapped), mapped * page_bytes};
}

engine::StepCost Cost(const LoadedNetwork& loaded) {
  const LoadTally& tally = loaded.tally;
  return {.structured_flops_per_token = 2 * tally.multiply_adds,
          .dense_equivalent_flops_per_token = 2 * tally.dense_multiply_adds,
          .head_flops_per_row = 2 * static_cast<double>(loaded.network->head().multiply_adds()),
          .weight_bytes_per_step = static_cast<double>(tally.linear_bytes)};
}

}  // namespace

absl::StatusOr<LoadedModel> LoadModel(const std::string& folder, const ModelOptions& options,
                                      std::unique_ptr<kernels::Device> device) {
  return CatchExceptions(folder, [&]() -> absl::StatusOr<LoadedModel> {
    ASSIGN_OR_RETURN(ReadModel model, Read(folder, options, *device));
    ASSIGN_OR_RETURN(const KvMemory kv, MapKv(model.loaded.network->shape(), options, *device));
    model.info.kv_cache_bytes = kv.bytes;
    const NetworkShape& shape = model.loaded.network->shape();
    const engine::ModelLimits limits = {
        .vocab_size = static_cast<int32_t>(shape.vocab_size),
        .context_length = static_cast<int32_t>(shape.positions),
        .kv_pages = kv.pages,
        .max_batch_tokens = options.max_batch_tokens,
        .max_draws = std::min(options.max_draws, options.max_batch_tokens)};
    const engine::StepCost cost = Cost(model.loaded);
    auto network_model =
        std::make_unique<NetworkModel>(std::move(model.loaded.network), limits, cost,
                                       std::move(device), std::move(model.loaded.tally.routed));
    return LoadedModel{std::move(network_model), std::move(model.info)};
  });
}

absl::StatusOr<ModelInfo> InspectModel(const std::string& folder, const ModelOptions& options,
                                       kernels::Device& device) {
  return CatchExceptions(folder, [&]() -> absl::StatusOr<ModelInfo> {
    ASSIGN_OR_RETURN(const ModelConfig config, ReadConfig(folder));
    ASSIGN_OR_RETURN(const std::unique_ptr<Checkpoint> checkpoint, Checkpoint::Open(folder));
    TensorSource tensors(*checkpoint, std::string(config.architecture->tensor_root));
    ASSIGN_OR_RETURN(const LoadedNetwork loaded,
                     LoadNetwork(config, tensors, options, LoadPass::kCheck, device));
    return Describe(config, loaded.tally, options.kv_dtype, device.info(), "");
  });
}

absl::StatusOr<int64_t> ModelBytes(const std::string& folder, const ModelOptions& options,
                                   kernels::Device& device) {
  return CatchExceptions(folder, [&]() -> absl::StatusOr<int64_t> {
    ASSIGN_OR_RETURN(const ModelConfig config, ReadConfig(folder));
    ASSIGN_OR_RETURN(const std::unique_ptr<Checkpoint> checkpoint, Checkpoint::Open(folder));
    int64_t bytes = 4 * (options.max_batch_tokens * config.network.activation_columns +
                         options.max_draws * config.network.vocab_size);
    for (const auto& [name, tensor] : checkpoint->tensors()) {
      const bool is_table =
          !tensor.shape.empty() && tensor.shape.front() == config.network.vocab_size;
      const int64_t copies = is_table && config.network.tied_head ? 2 : 1;
      bytes += copies * ElementCount(tensor.shape).value_or(0) *
               BytesOfWeight(options.weight_dtype, tensor.type);
    }
    if (options.layer_form == kernels::LayerForm::kDense) {
      TensorSource tensors(*checkpoint, std::string(config.architecture->tensor_root));
      ASSIGN_OR_RETURN(const LoadedNetwork loaded,
                       LoadNetwork(config, tensors, options, LoadPass::kCheck, device));
      for (const LinearInfo& layer : loaded.tally.layers) {
        if (layer.multiplied_out) bytes += layer.weight_bytes;
      }
    }
    return bytes;
  });
}

}  // namespace dyad
