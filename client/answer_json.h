// Answers of the server as JSON lines: the keys are those that client/README.md lists.
#pragma once

#include <string_view>

#include "client/json_line.h"
#include "dyad/v1/generation.pb.h"
#include "dyad/v1/model.pb.h"
#include "dyad/v1/scoring.pb.h"

namespace dyad::client {

enum class Details { kNo, kYes };

// {"ids", "text", "finish_reason", "stop_reason" (the stop string or id that was met), "logprobs"
// if asked for, "seed"}; tokens of lists have "text" and "bytes". Several choices: {"choices":
// [{"index", ...}], "seed"}.
Json GenerateAnswer(const v1::GenerateResponse& response);

// {"ids", "logprobs", "greedy", "sum", "mean", "scored_tokens", "convention"}, logprobs and greedy
// with null where a token was not scored, sum and mean null if none was, "top" if it was asked for.
// Details add "ranks", "texts" and "byte_offsets". "words" if they were asked for: "word", "begin",
// "end" (bytes of `text`), "tokens", "logprob" (null where it has no value).
Json ScoreAnswer(const v1::TextScore& score, std::string_view text, v1::Convention convention,
                 Details details);

// The bytes of `text` that a word has; what is not in the text is left out.
std::string WordText(std::string_view text, const v1::SpanScore& word);

// "good_sum", "bad_sum", "good_mean", "bad_mean", "good_scored_tokens", "bad_scored_tokens",
// "margin", "tie", "correct", "first_difference" (null if the sentences are the same), or the error
// object alone. The pair's own keys are the caller's business.
Json PairAnswer(const v1::PairScore& score);

// Sizes, digest and ids of a model, and its linear layers if the message has them.
Json ModelAnswer(const v1::Model& model);

}  // namespace dyad::client
