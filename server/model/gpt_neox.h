// GPT-NeoX (Pythia), with linear layers of any structure. Tensor names and options: README.md.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "server/model/gpt_neox_config.h"
#include "server/model/load_context.h"
#include "server/model/network.h"

namespace dyad {

// Takes all tensors of the network. After the checking pass the result has only its shape.
absl::StatusOr<std::unique_ptr<Network>> LoadGptNeox(const GptNeoxConfig& config,
                                                     LoadContext& context);

}  // namespace dyad
