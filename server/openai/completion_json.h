// A choice of the API -> a choice of /v1/completions, whole or piece by piece.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "dyad/v1/generation.pb.h"
#include "nlohmann/json.hpp"
#include "server/api/parse_generate.h"
#include "server/openai/completion_request.h"

namespace dyad {

// Where tokens begin in a text, in code points. A special token that is not written out in the text
// has the offset where it stands.
class TextOffsets {
 public:
  // `prompt`: the text in front, if it was given as text; its special tokens may be in it.
  explicit TextOffsets(std::string prompt) : prompt_(std::move(prompt)) {}

  enum class Token { kOrdinary, kSpecial };
  // The offset of the next token, whose own bytes these are.
  int64_t Next(std::string_view bytes, Token kind);

 private:
  const std::string prompt_;
  size_t prompt_bytes_ = 0;  // of prompt_, those that the tokens so far are
  int64_t offset_ = 0;
  std::string pending_;  // begins a character
};

// "token", "bytes:\xe2\x80" for a token that is part of a character, "token_id:7" if asked for or
// without tokenizer.
std::string TokenName(const v1::TokenLogprob& token, const CompletionRequest& request);

// "length" or "stop"; empty while a choice goes on.
std::string_view FinishWord(v1::FinishReason reason);

// Each piece of one choice in order. One thread at a time.
class CompletionChoice {
 public:
  // Both outlive this.
  CompletionChoice(const GenerationPlan& plan, const CompletionRequest& request);

  // index, text, finish_reason, stop_reason, logprobs (null if not asked for), and token ids if
  // asked for. Of the log-probabilities each is the shortest decimal that reads back to the float
  // as a double, so sums are those of the API. Errors: Internal, if one is not finite.
  absl::StatusOr<nlohmann::ordered_json> Piece(const v1::Choice& choice);

  // Of the pieces so far, without an echoed prompt.
  int64_t generated_tokens() const { return generated_tokens_; }

 private:
  absl::StatusOr<nlohmann::ordered_json> Logprobs(const v1::Choice& choice);

  const GenerationPlan& plan_;
  const CompletionRequest& request_;
  TextOffsets offsets_;
  size_t echoed_left_;  // ids of the prompt that are still to come
  bool is_first_ = true;
  int64_t generated_tokens_ = 0;
};

}  // namespace dyad
