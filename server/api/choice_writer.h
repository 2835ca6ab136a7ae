// One choice of a Generate call: what the engine says of its sequence, as additions to a Choice.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "dyad/v1/generation.pb.h"
#include "server/api/parse_generate.h"
#include "server/engine/request.h"
#include "server/text/stream_decoder.h"

namespace dyad {

// Each Add adds to the Choice that it is given; the caller may hand over an empty one at any time
// and send what the last one holds. Text never ends within a character. One thread at a time.
class ChoiceWriter {
 public:
  // `plan` outlives this.
  ChoiceWriter(const GenerationPlan& plan, int32_t index);

  // An empty Choice with its index.
  v1::Choice New() const;

  // With echo: the prompt's ids and text. First of all.
  void AddPrompt(v1::Choice& choice) const;
  // With echo and logprobs: those of the prompt, its unscored first id included.
  void AddPromptScores(std::span<const engine::TokenScore> scores, v1::Choice& choice) const;
  // kStop if a stop string was found.
  engine::Verdict AddToken(const engine::GeneratedToken& token, v1::Choice& choice);
  // The held-back rest of the text, and the finish reason.
  void AddEnd(engine::FinishReason reason, v1::Choice& choice);

 private:
  const GenerationPlan& plan_;
  const int32_t index_;
  std::optional<StreamDecoder> decoder_;  // none without tokenizer
  bool stopped_ = false;
  int32_t last_id_ = 0;  // of those generated
};

// "length", "eos", "stop", or empty: for the log.
std::string_view FinishReasonName(engine::FinishReason reason);

}  // namespace dyad
