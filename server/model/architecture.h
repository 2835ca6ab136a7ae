// The networks that are served, a row each: what config.json calls them, how they are read and
// built. A new network is its config, its forward pass and a row here.
#pragma once

#include <any>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/json_fields.h"
#include "server/model/load_context.h"
#include "server/model/network.h"

namespace dyad {

// What config.json says of a network.
struct NetworkConfig {
  int64_t vocab_size = 0;
  int64_t activation_columns = 0;  // floats for each row of a step
  bool tied_head = false;          // the token embedding is in memory twice
  // The network's own struct, which only its reader and its loader know: OptConfig, …
  std::any own;
};

struct Architecture {
  std::vector<std::string_view> model_types;  // in config.json
  std::string_view name;                      // in ListModels
  std::string_view stock_class;               // of transformers, for the network with dense layers
  std::string_view tensor_root;  // begins most names of tensors; files may leave it out
  int32_t bos_id = 0;            // where config.json has no bos_token_id
  int32_t eos_id = 0;            // where config.json has no eos_token_id

  // Leaves faults in `fields`.
  NetworkConfig (*read)(JsonFields& fields) = nullptr;
  // Takes all tensors of the network. After the checking pass the result has only its shape.
  // REQUIRES: `config` is from this row's read.
  absl::StatusOr<std::unique_ptr<Network>> (*load)(const NetworkConfig& config,
                                                   LoadContext& context) = nullptr;
};

const std::vector<Architecture>& Architectures();

// The row that has this model_type. Errors: InvalidArgument, with the types there are.
absl::StatusOr<const Architecture*> FindArchitecture(std::string_view model_type);

}  // namespace dyad
