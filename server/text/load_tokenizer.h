// A checkpoint folder -> its tokenizer: byte-level BPE as OPT, GPT-2 and GPT-NeoX use it, equal to
// the reference tokenizers on every input.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/text/tokenizer.h"

namespace dyad {

// Reads tokenizer.json, or vocab.json + merges.txt (+ special_tokens_map.json,
// tokenizer_config.json). Returns null if the folder has neither.
// Errors: InvalidArgument naming file, key, found, expected: also for a pre-tokenizer, normaliser
// or model kind that is not supported; those of CheckModelFolder and ReadFile (server/base/file.h).
absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(const std::string& folder);

// Those of the files that a tokenizer is made of which `folder` has, sorted. Errors: the system's.
absl::StatusOr<std::vector<std::string>> TokenizerFiles(const std::string& folder);

}  // namespace dyad
