// tokenizer_config.json and special_tokens_map.json: which tokens are special and what they are
// for.
#pragma once

#include <filesystem>

#include "absl/status/status.h"
#include "server/text/tokenizer_spec.h"

namespace dyad {

// Completes `spec`, as transformers does when it loads the folder; both files may be absent.
// - Tokens of added_tokens_decoder, and those named bos_token, eos_token, ..., that are in the
//   vocabulary become added tokens; named ones are special. In a folder that names none, an
//   <|endoftext|> in the vocabulary is special.
// - bos_id and eos_id are those of bos_token and eos_token.
// - Without a frame from tokenizer.json, add_bos_token and add_eos_token make one.
// - add_prefix_space, where it is given, overrides tokenizer.json's.
// Errors: InvalidArgument naming file and key; also for a bos_token or eos_token that is no token.
absl::Status ApplyTokenizerConfig(const std::filesystem::path& folder, TokenizerSpec& spec);

}  // namespace dyad
