// One pass over a network's tensors.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "kernels/device.h"
#include "server/checkpoint/tensor_source.h"
#include "server/model/config.h"
#include "server/model/load_context.h"
#include "server/model/model_options.h"
#include "server/model/network.h"

namespace dyad {

struct LoadedNetwork {
  std::unique_ptr<Network> network;  // of kCheck: its shape alone
  LoadTally tally;
  std::vector<LinearPlace> linears;  // as tally.layers
};

// Errors: InvalidArgument: what is missing, left over, or of another shape than config.json says;
// keys that name no layer. kPack: values that are not finite.
absl::StatusOr<LoadedNetwork> LoadNetwork(const ModelConfig& config, TensorSource& tensors,
                                          const ModelOptions& options, LoadPass pass,
                                          kernels::Device& device);

// What LoadNetwork loads with, before anything is loaded. All of it must outlive the result.
LoadContext ContextOf(const ModelConfig& config, TensorSource& tensors, const ModelOptions& options,
                      LoadPass pass, kernels::Device& device);

}  // namespace dyad
