// Chooses the form of tokenizer files that a folder has.
#include "server/text/load_tokenizer.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "server/base/file.h"
#include "server/base/status_macros.h"
#include "server/text/byte_level_tokenizer.h"
#include "server/text/tokenizer_config.h"
#include "server/text/tokenizer_json.h"
#include "server/text/vocabulary.h"

namespace dyad {

absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(const std::string& folder) {
  RETURN_IF_ERROR(CheckModelFolder(folder));
  const std::filesystem::path path = folder;
  ASSIGN_OR_RETURN(const bool has_tokenizer, HasEntry(path / "tokenizer.json"));
  ASSIGN_OR_RETURN(const bool has_vocabulary, HasEntry(path / "vocab.json"));
  ASSIGN_OR_RETURN(const bool has_merges, HasEntry(path / "merges.txt"));
  TokenizerSpec spec;
  if (has_tokenizer) {
    ASSIGN_OR_RETURN(spec, ReadTokenizerJson(path / "tokenizer.json"));
  } else if (has_vocabulary && has_merges) {
    ASSIGN_OR_RETURN(spec, ReadVocabularyFiles(path));
  } else if (has_vocabulary || has_merges) {
    return absl::InvalidArgumentError(
        absl::StrCat(has_vocabulary ? "merges.txt" : "vocab.json",
                     " is absent; vocab.json and merges.txt come together"));
  } else {
    return nullptr;
  }
  RETURN_IF_ERROR(ApplyTokenizerConfig(path, spec));
  return ByteLevelTokenizer::Create(spec);
}

absl::StatusOr<std::vector<std::string>> TokenizerFiles(const std::string& folder) {
  std::vector<std::string> files;
  for (const char* name : {"added_tokens.json", "merges.txt", "special_tokens_map.json",
                           "tokenizer.json", "tokenizer_config.json", "vocab.json"}) {
    ASSIGN_OR_RETURN(const bool there, HasEntry(std::filesystem::path(folder) / name));
    if (there) files.push_back(name);
  }
  return files;
}

}  // namespace dyad
