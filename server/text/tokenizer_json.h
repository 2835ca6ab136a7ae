// Reads tokenizer.json, the one-file form of huggingface/tokenizers.
#pragma once

#include <filesystem>

#include "absl/status/statusor.h"
#include "server/text/tokenizer_spec.h"

namespace dyad {

// ByteLevel BPE only: another model, normaliser, pre-tokenizer, post-processor or decoder is
// refused by name. "truncation" and "padding" are not read: nothing is cut silently here. Errors:
// InvalidArgument naming key, found, expected.
absl::StatusOr<TokenizerSpec> ReadTokenizerJson(const std::filesystem::path& path);

}  // namespace dyad
