// Chooses the form of tokenizer files that a folder has.
#include "server/text/load_tokenizer.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/text/byte_level_tokenizer.h"
#include "server/text/tokenizer_config.h"
#include "server/text/tokenizer_json.h"
#include "server/text/vocabulary.h"

namespace dyad {

absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(const std::string& folder) {
  const std::filesystem::path path = folder;
  const auto has = [&](const char* name) {
    std::error_code error;
    return std::filesystem::exists(path / name, error);
  };
  TokenizerSpec spec;
  if (has("tokenizer.json")) {
    ASSIGN_OR_RETURN(spec, ReadTokenizerJson(path / "tokenizer.json"));
  } else if (has("vocab.json") && has("merges.txt")) {
    ASSIGN_OR_RETURN(spec, ReadVocabularyFiles(path));
  } else if (has("vocab.json") || has("merges.txt")) {
    const char* missing = has("vocab.json") ? "merges.txt" : "vocab.json";
    return absl::InvalidArgumentError(
        absl::StrCat(missing, " is absent; vocab.json and merges.txt come together"));
  } else {
    return nullptr;
  }
  RETURN_IF_ERROR(ApplyTokenizerConfig(path, spec));
  return ByteLevelTokenizer::Create(spec);
}

std::vector<std::string> TokenizerFiles(const std::string& folder) {
  std::vector<std::string> files;
  for (const char* name : {"added_tokens.json", "merges.txt", "special_tokens_map.json",
                           "tokenizer.json", "tokenizer_config.json", "vocab.json"}) {
    std::error_code error;
    if (std::filesystem::exists(std::filesystem::path(folder) / name, error)) files.push_back(name);
  }
  return files;
}

}  // namespace dyad
