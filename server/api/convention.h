// What is fed and what is counted when a text is scored: one table, and the two ways to lay out
// tokens that it and contexts lead to. proto/dyad/v1/scoring.proto tells users the same.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "dyad/v1/scoring.pb.h"
#include "server/api/parse_request.h"
#include "server/api/request_limits.h"
#include "server/api/served_model.h"

namespace dyad {

enum class LeadingSpace { kNo, kYes };
// kFrame: what the tokenizer adds by itself.
enum class InFront { kNothing, kPrefixId, kFrame };
enum class Reduction { kSum, kMean };  // what decides a pair

struct ConventionRow {
  v1::Convention convention;
  LeadingSpace leading_space;
  InFront in_front;
  // First token that counts; the model tells nothing of token 0.
  int32_t scored_from;
  Reduction reduction;
};

// CONVENTION_UNSPECIFIED means LM_EVAL. InvalidArgument for a number that names none.
absl::StatusOr<const ConventionRow*> FindConvention(v1::Convention convention);

// One sequence to score.
struct ScoreInput {
  // 1 … context length, each in the vocabulary.
  std::vector<int32_t> ids;
  // Of each id in the text fed, in bytes; empty if ids were given.
  std::vector<int32_t> offsets;
  int32_t scored_from = 1;  // >= 1; ids.size() if nothing is scored

  int32_t scored_tokens() const { return static_cast<int32_t>(ids.size()) - scored_from; }
};

// What every text of a request is laid out with.
struct Layout {
  const ServedModel& model;
  const RequestLimits& limits;
  const ConventionRow& row;
  SpecialTokens special_tokens = SpecialTokens::kParse;
};

// A text without context: by the row of the table.
// Errors: InvalidField (no token at all; too long: both lengths), FailedPrecondition (no tokenizer;
// the row wants a prefix id and the model has none).
absl::StatusOr<ScoreInput> LayOutText(const Layout& layout, const TextField& text);

// A text after a context (not by the row): trailing blanks of the context move to the text, both
// are encoded together without special tokens, and scored from the number of tokens that the
// context alone has. A context that is empty then is the prefix id. Errors as LayOutText, and
// NothingToScore.
absl::StatusOr<ScoreInput> LayOutAfterContext(const Layout& layout, const TextField& context,
                                              const TextField& text);

// `ids` after `context`, or fed as they are if it is null. An empty context is the prefix id.
// Errors: InvalidField (no token at all; not in the vocabulary; too long), FailedPrecondition as
// above, and NothingToScore after a context.
absl::StatusOr<ScoreInput> LayOutIds(const Layout& layout, const std::string& field,
                                     std::span<const int32_t> ids, const v1::TokenIds* context);

// InvalidField: the score of no token would look like that of a certain event.
absl::Status NothingToScore(const std::string& field);

// Bytes of white space (as Unicode and Python's str.rstrip have it) at the end of valid UTF-8.
size_t TrailingBlankBytes(std::string_view text);

}  // namespace dyad
