// config.json -> the network that it names, and what that needs to know. Values are checked for
// type and range; what they claim about sizes is believed only once tensors of these sizes were
// found.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/model/architecture.h"
#include "server/model/structured_linear.h"

namespace dyad {

struct ModelConfig {
  const Architecture* architecture = nullptr;
  NetworkConfig network;
  StructuredLinear structured_linear;
  std::optional<int64_t> dyad_dim;  // blocks that every DYAD layer must have
  std::optional<int32_t> bos_id;    // [0, vocab_size)
  std::optional<int32_t> eos_id;    // the first, where the file lists several
};

// Absent keys have the defaults that transformers gives them.
// Errors: InvalidArgument: keys, what was found, what was expected.
absl::StatusOr<ModelConfig> ParseConfig(std::string_view json);

// Reads FOLDER/config.json. Errors: NotFound, InvalidArgument; as above.
absl::StatusOr<ModelConfig> ReadConfig(const std::string& folder);

}  // namespace dyad
