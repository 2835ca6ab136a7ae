// Words, regions and scored bytes of a request: checked, and turned into tokens.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dyad/v1/scoring.pb.h"
#include "server/api/convention.h"
#include "server/api/served_model.h"

namespace dyad {

struct WordRequest {
  std::optional<v1::WordSplit> split;  // absent: no words
  v1::WordCorrection correction = v1::WORD_CORRECTION_NONE;
};

// Errors: InvalidField; FailedPrecondition (NO_WORD_MARKS, NO_EOS_TOKEN) if the model's tokenizer
// lacks what the correction needs.
absl::StatusOr<WordRequest> ParseWordOptions(const v1::ScoreRequest& proto,
                                             const ServedModel& model);

// What item `field` asks for within its text, which is laid out. Errors: InvalidField (a span that
// is none of the text; no token that is scored; a text that the tokenizer normalises).
absl::Status PlanSpans(const ServedModel& model, const WordRequest& words, const std::string& field,
                       const v1::ScoreItem& item, LaidOut& input);

// InvalidField if an item of ids asks for spans or words.
absl::Status RefuseSpans(const WordRequest& words, const std::string& field,
                         const v1::ScoreItem& item);

}  // namespace dyad
