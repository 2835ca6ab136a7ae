// The body of POST /v1/completions -> requests of the API. Each field has one row in the source.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dyad/v1/generation.pb.h"
#include "nlohmann/json.hpp"

namespace dyad {

enum class UsageChunks { kNone, kLast, kAll };

struct CompletionRequest {
  std::vector<v1::GenerateRequest> prompts;  // not empty; they differ in the prompt only
  bool stream = false;
  UsageChunks usage = UsageChunks::kNone;
  bool returns_ids = false;
  bool names_tokens_by_id = false;  // "token_id:7" instead of a text
};

// A field that is null counts as absent, one that is not known is an error. Ranges that the API has
// are left to it. At most `max_prompts` prompts times n. Errors: InvalidField of all wrong fields,
// named as in the body.
absl::StatusOr<CompletionRequest> ParseCompletion(const nlohmann::json& body, int64_t max_prompts);

// The body's name of a field of `prompts`: "requests[3].text" is "prompt[3]", "max_new_tokens" is
// "max_tokens".
std::string CompletionField(std::string_view field);

}  // namespace dyad
