// The keys of config.json that all networks have; the others are their architecture's.
#include "server/model/config.h"

#include <filesystem>
#include <string>
#include <system_error>

#include "nlohmann/json.hpp"
#include "server/base/json.h"
#include "server/base/json_fields.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/checkpoint/byte_reader.h"
#include "server/checkpoint/mapped_file.h"
#include "server/model/config_fields.h"

namespace dyad {
namespace {

constexpr JsonBounds kBounds = {.max_bytes = 16 << 20, .max_depth = 64};

// An id, or a list of ids of which the first counts.
std::optional<int32_t> ReadTokenId(const nlohmann::json& object, JsonFields& fields,
                                   std::string_view key, int64_t otherwise, int64_t vocab_size) {
  const auto it = object.find(key);
  if (it == object.end()) {
    return otherwise < vocab_size ? std::optional(static_cast<int32_t>(otherwise)) : std::nullopt;
  }
  if (it->is_null() || (it->is_array() && it->empty())) return std::nullopt;
  const nlohmann::json single = {{key, it->is_array() ? it->front() : *it}};
  JsonFields first(single, "");
  const int64_t id = first.Integer(key, 0, {0, vocab_size - 1});
  if (!first.status().ok()) {
    fields.Fault(key, Text("an id in [0, ", vocab_size, ") or a list of them"));
  }
  return static_cast<int32_t>(id);
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
  config.bos_id =
      ReadTokenId(json, fields, "bos_token_id", config.architecture->bos_id, vocab_size);
  config.eos_id =
      ReadTokenId(json, fields, "eos_token_id", config.architecture->eos_id, vocab_size);
  if (fields.Has("dyad_dim")) config.dyad_dim = fields.Integer("dyad_dim", 1, kWidths);
  if (fields.Has("quantization_config")) fields.Fault("quantization_config", "none");
  RETURN_IF_ERROR(fields.status());
  const auto structured = json.find("structured_linear");
  ASSIGN_OR_RETURN(config.structured_linear,
                   StructuredLinear::Parse(structured == json.end() ? nullptr : *structured,
                                           config.architecture->tensor_root));
  return config;
}

absl::StatusOr<ModelConfig> ReadConfig(const std::string& folder) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    return absl::NotFoundError(Text(folder, ": no such folder"));
  }
  const auto file = MappedFile::Open(folder, "config.json");
  if (absl::IsNotFound(file.status())) {
    return absl::NotFoundError(
        Text("config.json: no such file in ", folder, "; expected a checkpoint folder"));
  }
  RETURN_IF_ERROR(file.status());
  return ParseConfig(AsText((*file)->bytes()));
}

}  // namespace dyad
