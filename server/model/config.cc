// The keys of config.json that all networks have; the others are their architecture's.
#include "server/model/config.h"

#include <filesystem>
#include <string>
#include <vector>

#include "kernels/structures/structures.h"
#include "nlohmann/json.hpp"
#include "server/base/file.h"
#include "server/base/json.h"
#include "server/base/json_fields.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/model/config_fields.h"

namespace dyad {
namespace {

constexpr JsonBounds kBounds = {.max_bytes = kMostConfigBytes, .max_depth = 64};

// Ids that end a generation are compared with each token that is drawn.
constexpr size_t kMostEosIds = 128;

// An id or a list of ids. `otherwise` where the key is absent, if the vocabulary has it.
std::vector<int32_t> ReadTokenIds(const nlohmann::json& object, JsonFields& fields,
                                  std::string_view key, int32_t otherwise, int64_t vocab_size) {
  const auto it = object.find(key);
  if (it == object.end()) {
    return otherwise < vocab_size ? std::vector<int32_t>{otherwise} : std::vector<int32_t>();
  }
  if (it->is_null()) return {};
  const nlohmann::json list = it->is_array() ? *it : nlohmann::json::array({*it});
  if (list.size() > kMostEosIds) fields.Fault(key, Text("at most ", kMostEosIds));
  std::vector<int32_t> ids;
  for (const nlohmann::json& id : list) {
    if (!id.is_number_integer() || id < 0 || id >= vocab_size) {
      fields.Fault(
          key, Text("an id in [0, ", vocab_size, ") or a list of them, without ", JsonText(id)));
      break;
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

// Of its keys only this one is read: how tokens are drawn is each request's business.
absl::Status ReadGenerationConfig(const std::filesystem::path& path, ModelConfig& config) {
  ASSIGN_OR_RETURN(const bool is_there, HasEntry(path));
  if (!is_there) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kBounds.max_bytes));
  ASSIGN_OR_RETURN(const nlohmann::json json,
                   ParseJsonObject(text, "generation_config.json", kBounds));
  JsonFields fields(json, "generation_config.json");
  if (fields.Has("eos_token_id")) {
    config.eos_ids = ReadTokenIds(json, fields, "eos_token_id", 0, config.network.vocab_size);
  }
  return fields.status();
}

}  // namespace

absl::StatusOr<ModelConfig> ParseConfig(std::string_view text) {
  ASSIGN_OR_RETURN(const nlohmann::json json, ParseJsonObject(text, "config.json", kBounds));
  JsonFields fields(json, "config.json");
  const std::string type = fields.String("model_type", "");
  RETURN_IF_ERROR(fields.status());
  ModelConfig config;
  ASSIGN_OR_RETURN(config.architecture, FindArchitecture(type));
  config.network = config.architecture->read(fields);
  // Ids are checked against the vocabulary, the vocabulary against the embedding when that is
  // found.
  const int64_t vocab_size = config.network.vocab_size;
  const std::vector<int32_t> bos =
      ReadTokenIds(json, fields, "bos_token_id", config.architecture->bos_id, vocab_size);
  if (bos.size() > 1) fields.Fault("bos_token_id", "one id");
  if (!bos.empty()) config.bos_id = bos.front();
  config.eos_ids =
      ReadTokenIds(json, fields, "eos_token_id", config.architecture->eos_id, vocab_size);
  for (const kernels::Structure* structure : kernels::Structures()) {
    const std::string_view option = structure->network_option;
    if (option.empty() || !fields.Has(option)) continue;
    config.layer_options.emplace(option, fields.Integer(option, 1, kWidths));
  }
  // Parts of einsum-search's networks that make them others than those that are served.
  for (const char* key : {"use_head_btt", "axial"}) {
    if (fields.Switch(key, false)) fields.Fault(key, "false");
  }
  if (fields.Has("quantization_config")) fields.Fault("quantization_config", "none");
  RETURN_IF_ERROR(fields.status());
  const auto structured = json.find("structured_linear");
  ASSIGN_OR_RETURN(config.structured_linear,
                   StructuredLinear::Parse(structured == json.end() ? nullptr : *structured,
                                           config.architecture->tensor_root));
  if (const auto ranks = json.find("truncation_ranks"); ranks != json.end()) {
    RETURN_IF_ERROR(config.structured_linear.AddRanks(*ranks, config.architecture->tensor_root));
  }
  return config;
}

absl::StatusOr<ModelConfig> ReadConfig(const std::string& folder) {
  RETURN_IF_ERROR(CheckModelFolder(folder));
  const std::filesystem::path path(folder);
  ASSIGN_OR_RETURN(const bool is_there, HasEntry(path / "config.json"));
  if (!is_there) {
    return absl::NotFoundError(
        Text("config.json: no such file in ", folder, "; expected a checkpoint folder"));
  }
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path / "config.json", kBounds.max_bytes));
  ASSIGN_OR_RETURN(ModelConfig config, ParseConfig(text));
  RETURN_IF_ERROR(ReadGenerationConfig(path / "generation_config.json", config));
  return config;
}

}  // namespace dyad
