// The pieces that both forms of tokenizer files share, and the older form: vocab.json + merges.txt.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/text/json_file.h"
#include "server/text/tokenizer_spec.h"

namespace dyad {

// An object {entry: id} -> spec.vocabulary and its source.
// Errors: InvalidArgument if it is empty, or an entry is too long or its id not one.
absl::Status ReadVocabulary(const JsonValue& object, TokenizerSpec& spec);

// "LEFT RIGHT" -> the two; nothing if the line is not that.
std::optional<std::pair<std::string, std::string>> ParseMerge(std::string_view line);

// An added token as tokenizer.json and tokenizer_config.json write it, without its id. By default a
// special token is not matched in normalised text and another one is, as in the reference.
absl::StatusOr<AddedToken> ReadAddedToken(const JsonValue& object);

// vocab.json and merges.txt of `folder`, and added_tokens.json if it is there: its entries join the
// vocabulary and are plain added tokens.
// Errors: InvalidArgument naming file and line or key.
absl::StatusOr<TokenizerSpec> ReadVocabularyFiles(const std::filesystem::path& folder);

}  // namespace dyad
