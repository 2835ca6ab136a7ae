// The table, and the look-up in it.
#include "server/model/architecture.h"

#include <algorithm>
#include <utility>

#include "server/base/message_text.h"
#include "server/model/gpt_neox.h"
#include "server/model/gpt_neox_config.h"
#include "server/model/opt.h"
#include "server/model/opt_config.h"

namespace dyad {
namespace {

// Hides the type of the config that goes from Read to Load.
template <auto Read, auto Load>
Architecture Row(Architecture row) {
  using Config = decltype(Read(std::declval<JsonFields&>()));
  row.read = [](JsonFields& fields) {
    Config config = Read(fields);
    return NetworkConfig{.vocab_size = config.vocab_size,
                         .activation_columns = config.activation_columns(),
                         .tied_head = config.tied_head,
                         .own = std::move(config)};
  };
  row.load = [](const NetworkConfig& config, LoadContext& context) {
    return Load(std::any_cast<const Config&>(config.own), context);
  };
  return row;
}

}  // namespace

const std::vector<Architecture>& Architectures() {
  static const auto& rows = *new std::vector<Architecture>{
      Row<ReadOptConfig, LoadOpt>({.model_types = {"opt", "sparse_opt"},
                                   .name = "opt",
                                   .stock_class = "OPTForCausalLM",
                                   .tensor_root = "model.",
                                   .bos_id = 2,
                                   .eos_id = 2}),
      Row<ReadGptNeoxConfig, LoadGptNeox>({.model_types = {"gpt_neox", "sparse_gpt_neox"},
                                           .name = "gpt_neox",
                                           .stock_class = "GPTNeoXForCausalLM",
                                           .tensor_root = "gpt_neox.",
                                           .bos_id = 0,
                                           .eos_id = 2}),
  };
  return rows;
}

absl::StatusOr<const Architecture*> FindArchitecture(std::string_view model_type) {
  std::string known;
  for (const Architecture& row : Architectures()) {
    for (const std::string_view type : row.model_types) {
      if (type == model_type) return &row;
      known = Text(known, known.empty() ? "" : ", ", type);
    }
  }
  return absl::InvalidArgumentError(Text("config.json: model_type is ",
                                         model_type.empty() ? "missing" : Quoted(model_type),
                                         "; expected one of ", known));
}

}  // namespace dyad
