// A line of a batch as a request. Field names, ranges and defaults are those of proto/dyad/v1;
// token ids are plain lists, "context" stands for context_text, and "stop" may be one string.
#pragma once

#include "absl/status/statusor.h"
#include "client/json_line.h"
#include "dyad/v1/generation.pb.h"
#include "dyad/v1/scoring.pb.h"
#include "dyad/v1/tokenizer.pb.h"

namespace dyad::client {

// Errors of all: InvalidArgument naming the field. What the server must judge (ranges, lengths) is
// left to the server.

// {"text" | "ids", any option of GenerateRequest}. A key that is no option is an error: a misspelt
// option would quietly change every answer.
absl::StatusOr<v1::GenerateRequest> GenerateRequestFromJson(const Json& line);

// {"text" | "ids", "context" | "context_ids", "convention", "special_tokens", "top_n", "model"}: a
// request with one item. Other keys are the caller's own.
absl::StatusOr<v1::ScoreRequest> ScoreRequestFromJson(const Json& line);

// {"text", "add_special_tokens", "special_tokens", "model"}. Other keys are the caller's own.
absl::StatusOr<v1::TokenizeRequest> TokenizeRequestFromJson(const Json& line);

// {"ids", "skip_special_tokens", "model"}. Other keys are the caller's own.
absl::StatusOr<v1::DetokenizeRequest> DetokenizeRequestFromJson(const Json& line);

// {"sentence_good", "sentence_bad", "context"}. Other keys are the caller's own.
absl::StatusOr<v1::MinimalPair> MinimalPairFromJson(const Json& line);

// "LM_EVAL" ...; an empty name is CONVENTION_UNSPECIFIED.
absl::StatusOr<v1::Convention> ConventionFromName(const std::string& name);
absl::StatusOr<v1::SpecialTokens> SpecialTokensFromName(const std::string& name);

}  // namespace dyad::client
