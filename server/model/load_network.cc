// The network takes its tensors; nothing may be left over.
#include "server/model/load_network.h"

#include <utility>

#include "server/base/status_macros.h"

namespace dyad {

LoadContext ContextOf(const ModelConfig& config, TensorSource& tensors, const ModelOptions& options,
                      LoadPass pass, kernels::Device& device) {
  return {.tensors = tensors,
          .structured = config.structured_linear,
          .layer_options = config.layer_options,
          .weight_dtype = options.weight_dtype,
          .layer_form = options.layer_form,
          .pass = pass,
          .device = device,
          .tally = {},
          .linears = {}};
}

absl::StatusOr<LoadedNetwork> LoadNetwork(const ModelConfig& config, TensorSource& tensors,
                                          const ModelOptions& options, LoadPass pass,
                                          kernels::Device& device) {
  LoadContext context = ContextOf(config, tensors, options, pass, device);
  LoadedNetwork loaded;
  ASSIGN_OR_RETURN(loaded.network, config.architecture->load(config.network, context));
  RETURN_IF_ERROR(tensors.RefuseTheRest());
  RETURN_IF_ERROR(config.structured_linear.RefuseUnusedKeys(context.LinearPaths()));
  loaded.tally = std::move(context.tally);
  loaded.linears = std::move(context.linears);
  return loaded;
}

}  // namespace dyad
