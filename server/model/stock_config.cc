// Keys that go, and keys that change.
#include "server/model/stock_config.h"

#include "kernels/structures/structures.h"
#include "nlohmann/json.hpp"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/model/config.h"

namespace dyad {

absl::StatusOr<std::string> StockConfig(std::string_view json, std::string_view dtype) {
  ASSIGN_OR_RETURN(const ModelConfig parsed, ParseConfig(json));
  // ParseConfig read it, so it is an object. Order is kept for who compares the two files.
  nlohmann::ordered_json config = nlohmann::ordered_json::parse(json, nullptr, false);
  // lm_dyad_dim stands beside dyad_dim in DYAD's checkpoints; auto_map names code of theirs.
  for (const char* key : {"structured_linear", "truncation_ranks", "lm_dyad_dim", "auto_map"}) {
    config.erase(key);
  }
  for (const kernels::Structure* structure : kernels::Structures()) {
    config.erase(std::string(structure->network_option));
  }
  const Architecture& architecture = *parsed.architecture;
  config["model_type"] = std::string(architecture.name);
  config["architectures"] = {std::string(architecture.stock_class)};
  if (!dtype.empty()) {
    // transformers 5 reads and writes "dtype", the versions before it "torch_dtype".
    config.erase("torch_dtype");
    config["dtype"] = std::string(dtype);
    config["torch_dtype"] = std::string(dtype);
  }
  return config.dump(2) + "\n";
}

}  // namespace dyad
