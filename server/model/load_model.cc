// Config, then names and shapes of all tensors, then their numbers; the digest beside it.
#include "server/model/load_model.h"

#include <algorithm>
#include <future>
#include <utility>

#include "ATen/Parallel.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/digest.h"
#include "server/model/catch_exceptions.h"
#include "server/model/config.h"
#include "server/model/convert.h"
#include "server/model/load_context.h"
#include "server/model/network_model.h"

namespace dyad {
namespace {

struct LoadedNetwork {
  std::unique_ptr<Network> network;
  LoadTally tally;
};

// One pass over the network's tensors.
absl::StatusOr<LoadedNetwork> LoadNetwork(const ModelConfig& config, const Checkpoint& checkpoint,
                                          const ModelOptions& options, LoadPass pass,
                                          kernels::ThreadPool& pool) {
  TensorSource tensors(checkpoint, std::string(config.architecture->tensor_root));
  LoadContext context{.tensors = tensors,
                      .structured = config.structured_linear,
                      .dyad_dim = config.dyad_dim,
                      .weight_dtype = options.weight_dtype,
                      .pass = pass,
                      .pool = pool,
                      .tally = {},
                      .linear_paths = {}};
  LoadedNetwork loaded;
  ASSIGN_OR_RETURN(loaded.network, config.architecture->load(config.network, context));
  RETURN_IF_ERROR(tensors.RefuseTheRest());
  RETURN_IF_ERROR(config.structured_linear.RefuseUnusedKeys(context.linear_paths));
  loaded.tally = std::move(context.tally);
  return loaded;
}

// The type of most weights; layers may differ where the file mixes types.
std::string MainType(const LoadTally& tally) {
  const auto most =
      std::max_element(tally.elements.begin(), tally.elements.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return std::string(most == tally.elements.end() ? "float32" : WeightTypeName(most->first));
}

ModelInfo Describe(const ModelConfig& config, const LoadTally& tally, kernels::KvType kv_dtype,
                   std::string digest) {
  return {.architecture = std::string(config.architecture->name),
          .digest = std::move(digest),
          .weight_dtype = MainType(tally),
          .kv_dtype = kv_dtype == kernels::KvType::kBfloat16 ? "bfloat16" : "float32",
          .device = "cpu",
          .parameters = tally.parameters,
          .dense_equivalent_parameters = tally.dense_equivalent_parameters,
          .weight_bytes = tally.weight_bytes,
          .kv_cache_bytes = 0,
          .bos_id = config.bos_id,
          .eos_id = config.eos_id,
          .layers = tally.layers};
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
                               kernels::ThreadPool& pool) {
  RETURN_IF_ERROR(CheckRange("max_batch_tokens", options.max_batch_tokens, 1, 65536));
  RETURN_IF_ERROR(CheckRange("max_logit_rows", options.max_logit_rows, 1, 4096));
  ASSIGN_OR_RETURN(const ModelConfig config, ReadConfig(folder));
  ASSIGN_OR_RETURN(const std::unique_ptr<Checkpoint> checkpoint, Checkpoint::Open(folder));
  // All names and shapes first: what is wrong with them shows before a byte of weights is read.
  RETURN_IF_ERROR(LoadNetwork(config, *checkpoint, options, LoadPass::kCheck, pool).status());

  // The digest reads every byte once more: from the page cache, while the other thread packs.
  std::vector<std::string> files = checkpoint->files();
  files.push_back("config.json");
  auto digest = std::async(std::launch::async, [&] { return ModelDigest(folder, files); });
  ReadModel model;
  ASSIGN_OR_RETURN(model.loaded, LoadNetwork(config, *checkpoint, options, LoadPass::kPack, pool));
  ASSIGN_OR_RETURN(std::string digest_text, digest.get());
  model.info = Describe(config, model.loaded.tally, options.kv_dtype, std::move(digest_text));
  return model;
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
                                      kernels::ThreadPool& pool) {
  // All parallel work is the pool's; LibTorch would start threads of its own.
  at::set_num_threads(1);
  return CatchExceptions(folder, [&]() -> absl::StatusOr<LoadedModel> {
    ASSIGN_OR_RETURN(ReadModel model, Read(folder, options, pool));
    const NetworkShape& shape = model.loaded.network->shape();
    ASSIGN_OR_RETURN(KvCache cache, KvCache::Map(options.kv_cache_bytes, shape.layers,
                                                 shape.attention, options.kv_dtype));
    model.info.kv_cache_bytes = cache.bytes();
    const StepBounds bounds = {options.max_batch_tokens,
                               std::min(options.max_logit_rows, options.max_batch_tokens)};
    const engine::StepCost cost = Cost(model.loaded);
    auto network_model = std::make_unique<NetworkModel>(std::move(model.loaded.network),
                                                        std::move(cache), bounds, cost, pool);
    if (options.kv_population == KvPopulation::kInBackground) network_model->PopulateCache();
    return LoadedModel{std::move(network_model), std::move(model.info)};
  });
}

absl::StatusOr<ModelInfo> CheckModel(const std::string& folder, const ModelOptions& options,
                                     kernels::ThreadPool& pool) {
  return CatchExceptions(folder, [&]() -> absl::StatusOr<ModelInfo> {
    ASSIGN_OR_RETURN(ReadModel model, Read(folder, options, pool));
    return std::move(model.info);
  });
}

}  // namespace dyad
