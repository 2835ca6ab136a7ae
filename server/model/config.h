// config.json -> the network that it names, and what that needs to know. Values are checked for
// type and range; what they claim about sizes is believed only once tensors of these sizes were
// found.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/model/architecture.h"
#include "server/model/structured_linear.h"

namespace dyad {

inline constexpr int64_t kMostConfigBytes = 16 << 20;  // of config.json

struct ModelConfig {
  const Architecture* architecture = nullptr;
  NetworkConfig network;
  StructuredLinear structured_linear;
  // Keys that hold for every linear layer of some kind (kernels/structures), by their names.
  std::map<std::string, int64_t, std::less<>> layer_options;
  std::optional<int32_t> bos_id;  // [0, vocab_size)
  std::vector<int32_t> eos_ids;   // each in [0, vocab_size)
};

// Absent keys have the defaults that transformers gives them.
// Errors: InvalidArgument: keys, what was found, what was expected.
absl::StatusOr<ModelConfig> ParseConfig(std::string_view json);

// Reads FOLDER/config.json, and the eos_token_id of generation_config.json if it has one. Errors:
// as above; the system's, where the folder or a file of it cannot be read.
absl::StatusOr<ModelConfig> ReadConfig(const std::string& folder);

}  // namespace dyad
