// The post-processor of tokenizer.json: which ids stand around those of a text.
#pragma once

#include "absl/status/status.h"
#include "server/text/json_file.h"
#include "server/text/tokenizer_spec.h"

namespace dyad {

// Sets has_template, frame_before and frame_after of `spec`. Knows null, ByteLevel (which changes
// offsets of its own only), TemplateProcessing (its form for a single text), Bert and Roberta
// (first token, text, last token), and a Sequence of them with at most one frame.
// Errors: InvalidArgument, for another kind by its name.
absl::Status ReadPostProcessor(const JsonValue& part, TokenizerSpec& spec);

}  // namespace dyad
