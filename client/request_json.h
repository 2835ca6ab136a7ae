// A line of a batch as a request. Field names, ranges and defaults are those of proto/dyad/v1;
// token ids are plain lists, "context" stands for context_text, and "stop" may be one string.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/json_line.h"
#include "dyad/v1/generation.pb.h"
#include "dyad/v1/scoring.pb.h"
#include "dyad/v1/tokenizer.pb.h"

namespace dyad::client {

// Errors of all: InvalidArgument naming the field. What the server must judge (ranges, lengths) is
// left to the server.

// A key that is no option is the caller's own, unless it is nearly one: case, dashes and
// underscores aside two letters or less from an option of five or more. That is an error: a
// misspelt option would quietly change every answer.

// The keys of `line` that are no options, in their order.
Json OwnKeysOf(const Json& line, const std::vector<std::string>& options);

// All options of each kind of line.
const std::vector<std::string>& GenerateOptions();
const std::vector<std::string>& ScoreOptions();
const std::vector<std::string>& TokenizeOptions();
const std::vector<std::string>& DetokenizeOptions();

// {"text" | "ids", any option of GenerateRequest}.
absl::StatusOr<v1::GenerateRequest> GenerateRequestFromJson(const Json& line);

// {"text" | "ids", "context" | "context_ids", "convention", "special_tokens", "top_n",
// "word_split", "word_correction", "model"}: a request with one item.
absl::StatusOr<v1::ScoreRequest> ScoreRequestFromJson(const Json& line);

// {"text", "add_special_tokens", "special_tokens", "model"}.
absl::StatusOr<v1::TokenizeRequest> TokenizeRequestFromJson(const Json& line);

// {"ids", "skip_special_tokens", "model"}.
absl::StatusOr<v1::DetokenizeRequest> DetokenizeRequestFromJson(const Json& line);

// {"sentence_good", "sentence_bad", "context"}. A pair is scored by the model and convention of its
// run: such keys are errors.
absl::StatusOr<v1::MinimalPair> MinimalPairFromJson(const Json& line);

}  // namespace dyad::client
