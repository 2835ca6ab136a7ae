// One model as calls see it, and the list of all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/engine.h"
#include "server/model/load_model.h"
#include "server/text/tokenizer.h"

namespace dyad {

struct ServedModel {
  std::string name;
  ModelInfo info;
  engine::ModelLimits limits;
  // Null: the folder has none, only ids are served.
  const Tokenizer* tokenizer = nullptr;
  // Of its files: 64 hex digits, empty without one.
  std::string tokenizer_digest;
  engine::Engine* engine = nullptr;
  // tokenizer_config's bos_token, else config.json's bos, else eos.
  std::optional<int32_t> prefix_id;
  // generation_config.json's eos_token_id, else config.json's, else tokenizer_config's eos_token.
  std::vector<int32_t> eos_ids;
  // What corrections of words sum over (words.h); empty where the tokenizer marks no words.
  std::vector<uint8_t> word_id_sets;
};

// Immutable once built. Models, tokenizers and engines outlive it.
class ModelRegistry {
 public:
  explicit ModelRegistry(std::vector<ServedModel> models);
  // An empty name means the only model. Errors: NotFound (no such model, or several and no name
  // given).
  absl::StatusOr<const ServedModel*> Find(std::string_view name) const;
  const std::vector<ServedModel>& models() const { return models_; }

 private:
  std::vector<ServedModel> models_;
};

}  // namespace dyad
